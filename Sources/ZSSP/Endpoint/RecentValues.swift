// SPDX-License-Identifier: Apache-2.0

/// Values that matter for a limited time after their last change.
///
/// A value stays for at least a lifetime, and is dropped by the first change of any value after
/// three lifetimes, or before. Values are dropped by generations, with the memory of their
/// dictionary. So nothing is stored for their order: an endpoint may have a value for each of its
/// sessions.
struct RecentValues<Key: Hashable, Value> {
  /// The values that were changed since ``start``.
  private var young: [Key: Value] = [:]
  /// The values of the generation before.
  private var old: [Key: Value] = [:]
  private var start = Instant(nanoseconds: .min)

  /// The number of values; one that is in both generations counts twice.
  var count: Int { young.count + old.count }

  subscript(key: Key) -> Value? { young[key] ?? old[key] }

  /// Changes a value.
  ///
  /// - Parameters:
  ///   - key: the key of the value.
  ///   - initial: what is changed if there is no value.
  ///   - now: the present time.
  ///   - lifetime: how long a value must stay, the same in each call.
  ///   - change: changes the value.
  mutating func update(
    _ key: Key, from initial: Value, at now: Instant, lifetime: Duration, change: (inout Value) -> Void
  ) {
    beginGeneration(at: now, lifetime: lifetime)
    change(&young[key, default: old[key] ?? initial])
  }

  /// Begins the next generation, if a lifetime has passed since this one began.
  private mutating func beginGeneration(at now: Instant, lifetime: Duration) {
    let end = start.advanced(by: lifetime)
    guard end < now else { return }
    // This generation had no change after its end.
    old = end.advanced(by: lifetime) < now ? [:] : young
    young = [:]
    start = now
  }
}

extension RecentValues: Sendable where Key: Sendable, Value: Sendable {}

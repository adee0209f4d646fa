// SPDX-License-Identifier: Apache-2.0

/// Names of ratchet states that matter for a limited time. The Hello budget bounds the names that
/// strangers cause, and ``limit`` bounds all.
struct RecentNames: Sendable {
  /// The largest number of names. They take 4 MB.
  static let limit = 1 << 16

  private var ends: [Fingerprint: Instant] = [:]
  /// The names in order of insertion, each with its end at that time.
  private var order = Queue<(name: Fingerprint, end: Instant)>()

  /// The number of names.
  var count: Int { ends.count }

  /// Adds a name until `end`, or changes the end of a name that is present.
  ///
  /// - Returns: false if there was no room.
  mutating func insert(_ name: Fingerprint, until end: Instant, at now: Instant) -> Bool {
    expire(at: now)
    guard ends[name] == nil else {
      ends[name] = end
      return true
    }
    guard ends.count < Self.limit else { return false }
    ends[name] = end
    order.push((name, end))
    return true
  }

  mutating func remove(_ name: Fingerprint) { ends[name] = nil }

  func contains(_ name: Fingerprint, at now: Instant) -> Bool { ends[name].map { now < $0 } ?? false }

  /// Drops expired names, the oldest first. A name whose end was extended moves to the end of the
  /// queue, so that it does not keep those after it.
  private mutating func expire(at now: Instant) {
    while let oldest = order.first, oldest.end <= now {
      _ = order.popFromLong()
      guard let end = ends[oldest.name] else { continue }
      if now < end { order.push((oldest.name, end)) } else { ends[oldest.name] = nil }
    }
  }
}

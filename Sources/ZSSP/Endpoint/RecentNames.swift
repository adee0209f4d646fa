// SPDX-License-Identifier: Apache-2.0

/// Names of ratchet states that matter for a while. What strangers cause is bounded by their budget, and in any case by ``limit``.
struct RecentNames: Sendable {
  /// How many names are held at most: 4 MB of them.
  static let limit = 1 << 16

  private var ends: [Fingerprint: Instant] = [:]
  /// In the order of their insertion, each with the end that it had then.
  private var order = Queue<(name: Fingerprint, end: Instant)>()

  /// How many names are held.
  var count: Int { ends.count }

  /// Holds a name until `end`, in place of what was said of it before.
  ///
  /// - Returns: whether there was room.
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

  /// Drops names whose time is over, from the oldest on. One that was inserted again goes to the end of the line: it must not
  /// keep those behind it.
  private mutating func expire(at now: Instant) {
    while let oldest = order.first, oldest.end <= now {
      _ = order.popFromLong()
      guard let end = ends[oldest.name] else { continue }
      if now < end { order.push((oldest.name, end)) } else { ends[oldest.name] = nil }
    }
  }
}

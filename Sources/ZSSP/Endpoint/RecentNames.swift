// SPDX-License-Identifier: Apache-2.0

/// Names of ratchet states that matter for a limited time. The Hello budget bounds the names that
/// strangers cause, and ``limit`` bounds all.
///
/// Names that end at about the same time form a group. A group is dropped when all of its names
/// have ended, with its memory, so nothing is stored for the order of the names.
struct RecentNames: Sendable {
  /// The largest number of names. They take 5 MB. Those that have ended count until their group is
  /// dropped, up to four seconds later.
  static let limit = 1 << 16

  private struct Group: Sendable {
    /// The end of each name, in units of 2^32 nanoseconds, about four seconds.
    let number: Int64
    /// The names, each with its end.
    var ends: [Fingerprint: Instant] = [:]
    /// The latest end.
    var last: Instant

    /// Returns the number of the group for an end.
    static func number(of end: Instant) -> Int64 { end.nanoseconds >> 32 }
  }

  /// The groups, in no particular order: one for each four seconds of the time that names stay.
  private var groups: [Group] = []

  /// The number of names.
  var count: Int { groups.reduce(0) { $0 + $1.ends.count } }

  /// Adds a name until `end`, or changes the end of a name that is present.
  ///
  /// - Returns: false if there was no room.
  mutating func insert(_ name: Fingerprint, until end: Instant, at now: Instant) -> Bool {
    groups.removeAll { $0.last <= now }
    let isPresent = remove(name)
    guard isPresent || count < Self.limit else { return false }
    let number = Group.number(of: end)
    if let index = groups.firstIndex(where: { $0.number == number }) {
      groups[index].ends[name] = end
      groups[index].last = max(groups[index].last, end)
    } else {
      groups.append(Group(number: number, ends: [name: end], last: end))
    }
    return true
  }

  /// Removes a name.
  ///
  /// - Returns: true if it was present.
  mutating func remove(_ name: Fingerprint) -> Bool {
    for index in groups.indices where groups[index].ends.removeValue(forKey: name) != nil { return true }
    return false
  }

  /// Returns true if a name is present and has not ended.
  func contains(_ name: Fingerprint, at now: Instant) -> Bool {
    groups.contains { $0.ends[name].map { now < $0 } ?? false }
  }
}

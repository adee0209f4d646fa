// SPDX-License-Identifier: Apache-2.0

/// Limits how much of the device is read before the event loop does other work. Every packet
/// counts, also a dropped one: it takes time as well, and a sender of many such packets must not
/// stop all others.
struct ReadBudget {
  /// The maximum number of bytes read in one turn.
  static let limit = 512 << 10
  /// The bytes that each packet counts in addition to its size.
  static let packetCost = 512

  private(set) var spent = 0

  var isSpent: Bool { spent >= Self.limit }

  /// Counts a packet of this size.
  mutating func spend(_ bytes: Int) { spent += bytes + Self.packetCost }
}

// SPDX-License-Identifier: Apache-2.0

/// How much of the device is read before the event loop does something else. Every packet counts, also one that goes nowhere: it takes
/// time as well, and whoever sends many of these must not stop all others.
struct ReadBudget {
  /// What may be read in one turn, in bytes.
  static let limit = 512 << 10
  /// What a packet counts beside its bytes.
  static let packetCost = 512

  private(set) var spent = 0

  var isSpent: Bool { spent >= Self.limit }

  /// A packet was read.
  mutating func spend(_ bytes: Int) { spent += bytes + Self.packetCost }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A datagram under way.
struct Parcel: Sendable {
  var from: Address
  var to: Address
  var bytes: [UInt8]
  /// The peer that sent it; nil if an attacker made it or sent it again.
  var sender: Int?
  /// True if its bytes differ from what an endpoint sent.
  var isForged = false
  /// True if it contains nothing genuine: it cannot be a peer's Hello, not even an old one.
  var isMadeUp = false
  /// The peer that sent it first, whoever sends it now; nil if it is made up.
  var origin: Int?
  /// Its header; nil if it is made up or changed.
  var label: PacketLabel?
  /// The number in a trace; 0 if there is no trace, or if an attacker made it.
  var number = 0
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A datagram on its way.
struct Parcel: Sendable {
  var from: Address
  var to: Address
  var bytes: [UInt8]
  /// Whose it is; nil for what an attacker made, or sent again.
  var sender: Int?
  /// It is not, byte by byte, what an endpoint sent.
  var isForged = false
  /// Nothing of it is true: it can be no Hello of a peer, not even an old one.
  var isMadeUp = false
  /// Who sent it first, whoever sends it now; nil for what is made up.
  var origin: Int?
  /// What it is; nil for what is made up or changed.
  var label: PacketLabel?
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// What is read of an IP packet in the tunnel before anything is done with it.
struct InnerPacket {
  static let v4HeaderSize = 20
  static let v6HeaderSize = 40

  let source: IPAddress
  let destination: IPAddress
  /// The packet's length as its header says; not more than there is.
  let length: Int

  /// Reads a packet; nil if it is none. What stands behind its end does not belong to it.
  init?(_ packet: RawSpan) {
    guard packet.byteCount >= Self.v4HeaderSize else { return nil }
    switch packet[byte: 0] >> 4 {
    case 4:
      length = Int(packet.load(UInt16.self, at: 2))
      let headerSize = Int(packet[byte: 0] & 15) * 4
      guard headerSize >= Self.v4HeaderSize, headerSize <= length, length <= packet.byteCount else { return nil }
      source = IPAddress(v4: packet.load(UInt32.self, at: 12))
      destination = IPAddress(v4: packet.load(UInt32.self, at: 16))
    case 6:
      guard packet.byteCount >= Self.v6HeaderSize else { return nil }
      length = Self.v6HeaderSize + Int(packet.load(UInt16.self, at: 4))
      guard length <= packet.byteCount else { return nil }
      source = IPAddress(.v6, bits: packet.load(UInt128.self, at: 8))
      destination = IPAddress(.v6, bits: packet.load(UInt128.self, at: 24))
    default:
      return nil
    }
  }
}

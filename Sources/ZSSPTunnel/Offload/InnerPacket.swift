// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The fields of a tunnelled IP packet that are always read.
struct InnerPacket {
  static let v4HeaderSize = 20
  static let v6HeaderSize = 40

  let source: IPAddress
  let destination: IPAddress
  /// The length by the header, at most the number of bytes present.
  let length: Int

  /// Parses a packet; nil if it is invalid. Bytes after its end are ignored.
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

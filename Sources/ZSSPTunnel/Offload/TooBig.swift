// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The ICMP response to a packet that is too large for its path: "fragmentation needed" (RFC 792,
/// RFC 1191) or "packet too big" (RFC 4443), sent from the packet's destination to its source.
enum TooBig {
  /// The maximum number of quoted bytes. The response fits into what every host takes.
  private static let v4Quotation = 548
  private static let v6Quotation = 1232
  private static let laterFragment: UInt16 = 0x1FFF
  private static let mayNotFragment: UInt16 = 0x4000

  /// Returns the response; nil where ICMP forbids one: to packets that may be fragmented, to ICMP
  /// errors, and to packets whose source is no single host.
  static func answer(to packet: RawSpan, mtu: Int) -> [UInt8]? {
    guard let inner = InnerPacket(packet) else { return nil }
    return inner.source.family == .v4
      ? answerV4(to: packet, inner: inner, mtu: mtu) : answerV6(to: packet, inner: inner, mtu: mtu)
  }

  private static func answerV4(to packet: RawSpan, inner: InnerPacket, mtu: Int) -> [UInt8]? {
    let fragment = packet.load(UInt16.self, at: 6)
    let source = inner.source.bits >> 96
    guard fragment & mayNotFragment != 0, fragment & laterFragment == 0 else { return nil }
    guard source != 0, source >> 28 != 0xE, source != 0xFFFF_FFFF, inner.destination.bits >> 124 != 0xE else {
      return nil
    }
    let headerSize = Int(packet[byte: 0] & 15) * 4
    if packet[byte: 9] == 1 {
      // Only ICMP queries and replies get a response.
      guard packet.byteCount > headerSize, [0, 8, 13, 14].contains(packet[byte: headerSize]) else { return nil }
    }
    let quotation = min(packet.byteCount, v4Quotation)
    var answer = [UInt8](repeating: 0, count: 28 + quotation)
    answer.withMutableBytes { bytes in
      bytes.store(0x45 as UInt8, at: 0)
      bytes.store(UInt16(28 + quotation), at: 2)
      bytes.store(64 as UInt8, at: 8)
      bytes.store(1 as UInt8, at: 9)
      bytes.write(packet.extracting(16..<20), at: 12)
      bytes.write(packet.extracting(12..<16), at: 16)
      Checksum.completeHeader(&bytes, size: 20)
      // Destination unreachable, fragmentation needed.
      bytes.store(3 as UInt8, at: 20)
      bytes.store(4 as UInt8, at: 21)
      bytes.store(UInt16(clamping: mtu), at: 26)
      bytes.write(packet.extracting(0..<quotation), at: 28)
      let checksum = ~Checksum.folded(Checksum.sum(bytes.bytes.extracting(20..<28 + quotation)))
      bytes.storeBytes(of: checksum, toByteOffset: 22, as: UInt16.self)
    }
    return answer
  }

  private static func answerV6(to packet: RawSpan, inner: InnerPacket, mtu: Int) -> [UInt8]? {
    guard inner.source.bits != 0, inner.source.bits >> 120 != 0xFF else { return nil }
    if packet[byte: 6] == 58 {
      // ICMPv6 errors have types below 128.
      guard packet.byteCount > 40, packet[byte: 40] >= 128 else { return nil }
    }
    let quotation = min(packet.byteCount, v6Quotation)
    var answer = [UInt8](repeating: 0, count: 48 + quotation)
    answer.withMutableBytes { bytes in
      bytes.store(0x60 as UInt8, at: 0)
      bytes.store(UInt16(8 + quotation), at: 4)
      bytes.store(58 as UInt8, at: 6)
      bytes.store(64 as UInt8, at: 7)
      bytes.write(packet.extracting(24..<40), at: 8)
      bytes.write(packet.extracting(8..<24), at: 24)
      bytes.store(2 as UInt8, at: 40)
      bytes.store(UInt32(clamping: mtu), at: 44)
      bytes.write(packet.extracting(0..<quotation), at: 48)
      let pseudo = Checksum.pseudoHeader(bytes.bytes, isV6: true, transport: 58, length: 8 + quotation)
      let checksum = ~Checksum.folded(Checksum.sum(bytes.bytes.extracting(40..<48 + quotation), initial: pseudo))
      bytes.storeBytes(of: checksum, toByteOffset: 42, as: UInt16.self)
    }
    return answer
  }
}

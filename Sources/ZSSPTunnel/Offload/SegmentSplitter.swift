// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Turns the kernel's packets into complete ones: segments super-packets, and completes checksums.
///
/// Only headers are copied. The header of each segment is written in front of its payload, over the
/// end of the previous segment, which has been passed on by then.
struct SegmentSplitter {
  /// More than the headers of IPv6 with extensions and of TCP.
  private static let headerLimit = 512
  /// The flags of TCP that only the last segment may have: FIN and PSH.
  private static let lastFlags: UInt8 = 0x09
  private static let firstFlags: UInt8 = 0x80

  /// A copy of the super-packet's headers, which are overwritten where payloads are shorter than
  /// headers.
  private var template = [UInt8](repeating: 0, count: headerLimit)

  /// Returns the size of the largest resulting packet; nil if the header is invalid.
  static func largestPacket(in packet: RawSpan, header: VirtioHeader) -> Int? {
    guard header.segmentation != .none else { return packet.byteCount }
    guard let headerSize = headerSize(of: packet, header: header) else { return nil }
    return min(packet.byteCount, headerSize + header.segmentSize)
  }

  /// Returns the number of resulting packets and their total bytes; one packet if the header is
  /// invalid.
  static func measure(_ packet: RawSpan, header: VirtioHeader) -> (packets: Int, bytes: Int) {
    guard header.segmentation != .none, let headerSize = headerSize(of: packet, header: header) else {
      return (1, packet.byteCount)
    }
    let payload = packet.byteCount - headerSize
    let packets = (payload + header.segmentSize - 1) / header.segmentSize
    return (packets, payload + packets * headerSize)
  }

  /// Measures a packet with its virtio header, like ``measure(_:header:)``.
  static func measure(_ bytes: RawSpan) -> (packets: Int, bytes: Int) {
    guard let header = VirtioHeader(bytes) else { return (1, bytes.byteCount) }
    return measure(bytes.extracting(VirtioHeader.size..<bytes.byteCount), header: header)
  }

  /// Calls `body` with each packet, in order. Stops when `body` throws.
  ///
  /// - Returns: False if the virtio header is invalid.
  /// - Throws: The error of `body`.
  mutating func split<Stop: Error>(
    _ packet: inout MutableRawSpan, header: VirtioHeader, body: (RawSpan) throws(Stop) -> Void
  ) throws(Stop) -> Bool {
    guard header.segmentation != .none else {
      guard !header.isPartial || complete(&packet, header: header) else { return false }
      try body(packet.bytes)
      return true
    }
    guard let headerSize = Self.headerSize(of: packet.bytes, header: header), headerSize <= Self.headerLimit else {
      return false
    }
    template.copy(packet.bytes.extracting(0..<headerSize), to: 0)
    let total = packet.byteCount
    let size = header.segmentSize
    var number = 0
    var payload = headerSize
    repeat {
      let end = min(payload + size, total)
      var segment = packet.slice(payload - headerSize..<end)
      write(&segment, headerSize: headerSize, header: header, number: number, isLast: end == total)
      try body(segment.bytes)
      number += 1
      payload = end
    } while payload < total
    return true
  }

  /// Takes the last segment off a super-packet, and a FIN or PSH with it, which stand behind its
  /// payload.
  ///
  /// - Returns: The size of what remains; 0 for a single packet, or if the header is invalid.
  static func removeLast(from packet: inout MutableRawSpan, header: VirtioHeader) -> Int {
    guard header.segmentation != .none, let headerSize = headerSize(of: packet.bytes, header: header) else { return 0 }
    let rest = (packet.byteCount - headerSize - 1) / header.segmentSize * header.segmentSize
    guard rest > 0 else { return 0 }
    let size = headerSize + rest
    let isV6 = packet[byte: 0] >> 4 == 6
    // The checksum of the header is written with those of the segments.
    packet.store(UInt16(truncatingIfNeeded: isV6 ? size - InnerPacket.v6HeaderSize : size), at: isV6 ? 4 : 2)
    if header.segmentation.isTCP {
      let place = header.checksumStart + 13
      packet.storeBytes(of: packet[byte: place] & ~lastFlags, toByteOffset: place, as: UInt8.self)
    }
    return size
  }

  /// Returns the offset of a super-packet's payload; nil if the header is invalid.
  private static func headerSize(of packet: RawSpan, header: VirtioHeader) -> Int? {
    let start = header.checksumStart
    guard header.segmentSize > 0, start >= InnerPacket.v4HeaderSize, packet.byteCount >= start + 20 else { return nil }
    let isV6 = packet[byte: 0] >> 4 == 6
    guard !isV6 || start >= InnerPacket.v6HeaderSize else { return nil }
    let size = header.segmentation.isTCP ? Int(packet[byte: start + 12] >> 4) * 4 : 8
    guard size >= (header.segmentation.isTCP ? 20 : 8), packet.byteCount > start + size else { return nil }
    return start + size
  }

  /// Completes the checksum of a single packet, and returns false if the header is invalid.
  private func complete(_ packet: inout MutableRawSpan, header: VirtioHeader) -> Bool {
    let place = header.checksumStart + header.checksumOffset
    guard header.checksumStart < packet.byteCount, place + 2 <= packet.byteCount else { return false }
    // The field contains the sum of the pseudo-header already.
    let checksum = ~Checksum.folded(Checksum.sum(packet.bytes.extracting(header.checksumStart..<packet.byteCount)))
    // In UDP, 0 means "no checksum" (RFC 768), and 0xFFFF is its equivalent.
    packet.storeBytes(of: checksum == 0 ? 0xFFFF : checksum, toByteOffset: place, as: UInt16.self)
    return true
  }

  /// Writes the headers of a segment in front of its payload.
  private func write(
    _ segment: inout MutableRawSpan, headerSize: Int, header: VirtioHeader, number: Int, isLast: Bool
  ) {
    segment.write(template.rawBytes.extracting(0..<headerSize), at: 0)
    let start = header.checksumStart
    let isV6 = segment[byte: 0] >> 4 == 6
    if isV6 {
      segment.store(UInt16(truncatingIfNeeded: segment.byteCount - InnerPacket.v6HeaderSize), at: 4)
    } else {
      segment.store(UInt16(truncatingIfNeeded: segment.byteCount), at: 2)
      let identification = segment.bytes.load(UInt16.self, at: 4)
      segment.store(identification &+ UInt16(truncatingIfNeeded: number), at: 4)
      Checksum.completeHeader(&segment, size: start)
    }
    let isTCP = header.segmentation.isTCP
    if isTCP {
      writeTCP(&segment, start: start, advance: number * header.segmentSize, isFirst: number == 0, isLast: isLast)
    } else {
      segment.store(UInt16(truncatingIfNeeded: segment.byteCount - start), at: start + 4)
    }
    let place = start + (isTCP ? 16 : 6)
    segment.storeBytes(of: 0, toByteOffset: place, as: UInt16.self)
    let pseudo = Checksum.pseudoHeader(
      segment.bytes, isV6: isV6, transport: isTCP ? 6 : 17, length: segment.byteCount - start)
    let checksum = ~Checksum.folded(Checksum.sum(segment.bytes.extracting(start..<segment.byteCount), initial: pseudo))
    segment.storeBytes(of: checksum == 0 && !isTCP ? 0xFFFF : checksum, toByteOffset: place, as: UInt16.self)
  }

  private func writeTCP(_ segment: inout MutableRawSpan, start: Int, advance: Int, isFirst: Bool, isLast: Bool) {
    let sequence = segment.bytes.load(UInt32.self, at: start + 4)
    segment.store(sequence &+ UInt32(truncatingIfNeeded: advance), at: start + 4)
    var flags = segment[byte: start + 13]
    if !isLast { flags &= ~Self.lastFlags }
    if !isFirst { flags &= ~Self.firstFlags }
    segment.store(flags, at: start + 13)
  }
}

extension Array<UInt8> {
  /// Copies bytes over the elements from `offset` on. The count does not change.
  mutating func copy(_ source: RawSpan, to offset: Int) {
    var elements = mutableSpan
    var bytes = elements.mutableBytes
    bytes.write(source, at: offset)
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Fragments IPv4 packets that are larger than their path takes, as a router does (RFC 791,
/// sections 2.3 and 3.2).
enum Fragmenter {
  private static let mayNotFragment: UInt16 = 0x4000
  private static let moreFragments: UInt16 = 0x2000
  private static let offsetMask: UInt16 = 0x1FFF
  /// The unit of fragment offsets in bytes.
  private static let unit = 8
  /// The bit of an option that every fragment must have.
  private static let copied: UInt8 = 0x80
  private static let endOfOptions: UInt8 = 0
  private static let noOperation: UInt8 = 1

  /// Returns true if a packet, or the packets of a super-packet, may be fragmented: IPv4, not
  /// forbidden by the sender, and complete.
  static func mayCut(_ packet: RawSpan, limit: Int) -> Bool {
    guard let inner = InnerPacket(packet), inner.source.family == .v4 else { return false }
    let headerSize = Int(packet[byte: 0] & 15) * 4
    let flags = packet.load(UInt16.self, at: 6)
    // The offset field cannot describe fragments beyond 65535 bytes.
    let end = Int(flags & offsetMask) * unit + inner.length - headerSize
    return flags & mayNotFragment == 0 && end <= 65_535 && limit >= headerSize + unit
  }

  /// Calls `body` with the fragments of a packet for which ``mayCut(_:limit:)`` is true, in order.
  /// Stops when `body` throws.
  ///
  /// The first fragment has all options of the packet, the others those that are marked to be
  /// copied. If the packet is a fragment itself, the results are fragments of the same original
  /// packet.
  ///
  /// - Throws: The error of `body`.
  static func cut<Stop: Error>(
    _ packet: RawSpan, limit: Int, body: (RawSpan) throws(Stop) -> Void
  ) throws(Stop) {
    guard let inner = InnerPacket(packet) else { return }
    let firstSize = Int(packet[byte: 0] & 15) * 4
    let header = packet.extracting(0..<firstSize)
    let laterHeader = Self.laterHeader(header)
    var fragment = [UInt8](repeating: 0, count: limit)
    var place = firstSize
    while place < inner.length {
      let isFirst = place == firstSize
      let headerSize = isFirst ? firstSize : laterHeader.count
      let rest = inner.length - place
      let room = limit - headerSize
      let size = rest <= room ? rest : room / unit * unit
      fragment.withMutableBytes { bytes in
        bytes.write(isFirst ? header : laterHeader.rawBytes, at: 0)
        bytes.write(packet.extracting(place..<place + size), at: headerSize)
        complete(&bytes, headerSize: headerSize, size: size, passed: place - firstSize, isLast: size == rest)
      }
      try body(fragment.rawBytes.extracting(0..<headerSize + size))
      place += size
    }
  }

  /// Writes the fields that differ between fragments. The flags are still those of the packet.
  private static func complete(
    _ fragment: inout MutableRawSpan, headerSize: Int, size: Int, passed: Int, isLast: Bool
  ) {
    let flags = fragment.bytes.load(UInt16.self, at: 6)
    // The last fragment is followed by others only if the packet was.
    let more = isLast ? flags & moreFragments : moreFragments
    let offset = flags & offsetMask + UInt16(truncatingIfNeeded: passed / unit)
    fragment.store(UInt16(truncatingIfNeeded: headerSize + size), at: 2)
    fragment.store(flags & ~(offsetMask | moreFragments) | more | offset, at: 6)
    Checksum.completeHeader(&fragment, size: headerSize)
  }

  /// Returns the header of all fragments but the first.
  private static func laterHeader(_ header: RawSpan) -> [UInt8] {
    var later = header.extracting(0..<InnerPacket.v4HeaderSize).array
    var place = later.count
    while place + 1 < header.byteCount, header[byte: place] != endOfOptions {
      let type = header[byte: place]
      if type == noOperation {
        place += 1
        continue
      }
      let size = Int(header[byte: place + 1])
      // Invalid data ends the options.
      guard size >= 2, place + size <= header.byteCount else { break }
      if type & copied != 0 { later += header.extracting(place..<place + size).array }
      place += size
    }
    while !later.count.isMultiple(of: 4) { later.append(endOfOptions) }
    later[0] = 0x40 | UInt8(later.count / 4)
    return later
  }
}

extension SegmentSplitter {
  /// Calls `body` with each packet, and with the fragments of packets larger than `limit`, in
  /// order.
  ///
  /// - Returns: False if the virtio header is invalid, or a packet is too large and must not be
  ///   fragmented.
  /// - Throws: The error of `body`.
  mutating func split<Stop: Error>(
    _ packet: inout MutableRawSpan, header: VirtioHeader, limit: Int, body: (RawSpan) throws(Stop) -> Void
  ) throws(Stop) -> Bool {
    var isCut = true
    let isWhole = try split(&packet, header: header) { segment throws(Stop) in
      if segment.byteCount <= limit {
        try body(segment)
      } else if Fragmenter.mayCut(segment, limit: limit) {
        try Fragmenter.cut(segment, limit: limit, body: body)
      } else {
        // The packet waited, and the limit has become smaller meanwhile.
        isCut = false
      }
    }
    return isWhole && isCut
  }
}

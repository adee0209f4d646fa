// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Cuts IPv4 packets that are larger than their way takes, as a router does (RFC 791, sections 2.3 and 3.2).
enum Fragmenter {
  private static let mayNotFragment: UInt16 = 0x4000
  private static let moreFragments: UInt16 = 0x2000
  private static let offsetMask: UInt16 = 0x1FFF
  /// Offsets count in these.
  private static let unit = 8
  /// An option that every fragment has.
  private static let copied: UInt8 = 0x80
  private static let endOfOptions: UInt8 = 0
  private static let noOperation: UInt8 = 1

  /// Whether a packet, or the packets of a super-packet, may be cut: it is of IPv4, its sender allows it, and it is whole.
  static func mayCut(_ packet: RawSpan, limit: Int) -> Bool {
    guard let inner = InnerPacket(packet), inner.source.family == .v4 else { return false }
    let headerSize = Int(packet[byte: 0] & 15) * 4
    let flags = packet.load(UInt16.self, at: 6)
    // What would end behind the last place that there is has no fragments that say so.
    let end = Int(flags & offsetMask) * unit + inner.length - headerSize
    return flags & mayNotFragment == 0 && end <= 65_535 && limit >= headerSize + unit
  }

  /// Calls `body` with the fragments of a packet for which ``mayCut(_:limit:)`` holds, in order. Where it throws it is not called again.
  ///
  /// The first has all of the packet's options, the others those that are marked to be copied. A packet that is a fragment already comes to
  /// fragments of the same packet.
  static func cut<Stop: Error>(
    _ packet: RawSpan, limit: Int, _ body: (RawSpan) throws(Stop) -> Void
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
      let (rest, room) = (inner.length - place, limit - headerSize)
      let size = rest <= room ? rest : room / unit * unit
      fragment.withMutableBytes { bytes in
        bytes.write(isFirst ? header : laterHeader.rawBytes, at: 0)
        bytes.write(packet.extracting(place..<place + size), at: headerSize)
        complete(&bytes, headerSize, size: size, passed: place - firstSize, isLast: size == rest)
      }
      try body(fragment.rawBytes.extracting(0..<headerSize + size))
      place += size
    }
  }

  /// Writes what differs between the fragments. The flags are those of the packet so far.
  private static func complete(
    _ fragment: inout MutableRawSpan, _ headerSize: Int, size: Int, passed: Int, isLast: Bool
  ) {
    let flags = fragment.bytes.load(UInt16.self, at: 6)
    // The last is followed by more if the packet was.
    let more = isLast ? flags & moreFragments : moreFragments
    let offset = flags & offsetMask + UInt16(truncatingIfNeeded: passed / unit)
    fragment.store(UInt16(truncatingIfNeeded: headerSize + size), at: 2)
    fragment.store(flags & ~(offsetMask | moreFragments) | more | offset, at: 6)
    Checksum.completeHeader(&fragment, size: headerSize)
  }

  /// The header of all fragments but the first.
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
      // What cannot be an option ends them.
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
  /// Calls `body` with each packet, and with the fragments of those that are larger than `limit`, in order.
  ///
  /// - Returns: false if what the kernel says of the packet cannot be, or it is too large and must not be cut.
  mutating func split<Stop: Error>(
    _ packet: inout MutableRawSpan, _ header: VirtioHeader, limit: Int, _ body: (RawSpan) throws(Stop) -> Void
  ) throws(Stop) -> Bool {
    var isCut = true
    let isWhole = try split(&packet, header) { segment throws(Stop) in
      if segment.byteCount <= limit {
        try body(segment)
      } else if Fragmenter.mayCut(segment, limit: limit) {
        try Fragmenter.cut(segment, limit: limit, body)
      } else {
        // It waited, and the peer takes less now.
        isCut = false
      }
    }
    return isWhole && isCut
  }
}

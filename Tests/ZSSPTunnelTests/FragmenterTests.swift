// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPTunnel

/// IPv4 packets are cut as RFC 791 says, so that whoever puts them together gets what was sent.
@Suite(.tags(.fast))
struct FragmenterTests {
  /// A fragment as its header says.
  private struct Fragment {
    let header: [UInt8]
    let payload: [UInt8]
    var offset: Int { (Int(header[6]) << 8 | Int(header[7])) & 0x1FFF }
    var hasMore: Bool { header[6] & 0x20 != 0 }
    var options: [UInt8] { Array(header[20...]) }

    init(_ bytes: [UInt8]) {
      let size = Int(bytes[0] & 15) * 4
      header = Array(bytes[..<size])
      payload = Array(bytes[size...])
    }
  }

  /// A packet of `size` bytes of payload with options, and where it stands in another.
  private func packet(
    _ size: Int, options: [UInt8] = [], offset: Int = 0, hasMore: Bool = false, mayNotFragment: Bool = false
  ) -> [UInt8] {
    let length = 20 + options.count + size
    let flags = (mayNotFragment ? 0x4000 : 0) | (hasMore ? 0x2000 : 0) | offset
    var header: [UInt8] = [
      0x40 | UInt8(5 + options.count / 4), 0x2E, UInt8(length >> 8), UInt8(length & 255), 0xAB, 0xCD,
      UInt8(flags >> 8), UInt8(flags & 255), 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]
    header += options
    let checksum = PacketMaker.checksum(header)
    header[10] = UInt8(checksum >> 8)
    header[11] = UInt8(checksum & 255)
    return header + payload(size)
  }

  private func mayCut(_ packet: [UInt8], limit: Int) -> Bool { Fragmenter.mayCut(packet.rawBytes, limit: limit) }

  private func cut(_ packet: [UInt8], limit: Int) -> [Fragment] {
    #expect(mayCut(packet, limit: limit))
    var fragments: [Fragment] = []
    Fragmenter.cut(packet.rawBytes, limit: limit) { (bytes: RawSpan) in
      #expect(bytes.byteCount <= limit)
      fragments.append(Fragment(bytes.array))
    }
    return fragments
  }

  /// Checks the properties of the fragments of any packet: sizes, offsets, checksums, and the
  /// fields that are equal in all of them.
  private func check(_ fragments: [Fragment], of packet: [UInt8]) {
    let whole = Fragment(packet)
    var next = whole.offset
    for (index, fragment) in fragments.enumerated() {
      let isLast = index == fragments.count - 1
      #expect(PacketMaker.checksum(fragment.header) == 0)
      #expect(Int(fragment.header[2]) << 8 | Int(fragment.header[3]) == fragment.header.count + fragment.payload.count)
      #expect(fragment.offset == next)
      #expect(fragment.hasMore == (isLast ? whole.hasMore : true))
      #expect(isLast || fragment.payload.count.isMultiple(of: 8))
      for same in [1..<2, 4..<6, 8..<10, 12..<20] { #expect(fragment.header[same] == whole.header[same]) }
      next += fragment.payload.count / 8
    }
    #expect(fragments.flatMap(\.payload) == whole.payload)
  }

  /// Sizes at the borders: the last fragment is full, has one byte, or is no multiple of 8; limits
  /// that are none either.
  @Test(arguments: [1400, 1381, 1380, 1379, 556, 557, 1, 65_515], [576, 580, 1299, 1300, 1400])
  func wholePackets(size: Int, limit: Int) {
    let packet = packet(size)
    let fragments = cut(packet, limit: limit)
    check(fragments, of: packet)
    let room = (limit - 20) / 8 * 8
    // What is left over may be as long as the limit.
    let expected = size <= limit - 20 ? 1 : 1 + (size - (limit - 20) + room - 1) / room
    #expect(fragments.count == expected)
  }

  /// A packet that is a fragment comes to fragments of the same packet; only the last of the last
  /// is the last.
  @Test(arguments: [false, true], [1, 100, 5000]) func fragmentsAreCutAgain(hasMore: Bool, offset: Int) {
    let packet = packet(1400, offset: offset, hasMore: hasMore)
    let fragments = cut(packet, limit: 600)
    #expect(fragments.count == 3)
    check(fragments, of: packet)
  }

  /// The first fragment has all options, the others those that are marked to be copied, filled up
  /// to whole words.
  @Test func optionsAreCopied() {
    // Security, which is copied; no operation; a record of the route, which is not; router alert,
    // which is copied; the end.
    let security: [UInt8] = [0x82, 3, 9], route: [UInt8] = [7, 7, 4, 0, 0, 0, 0], alert: [UInt8] = [0x94, 4, 0, 0]
    let options = security + [1] + route + alert + [0]
    let packet = packet(2000, options: options)
    let fragments = cut(packet, limit: 700)
    check(fragments, of: packet)
    #expect(fragments.first?.options == options)
    for fragment in fragments.dropFirst() { #expect(fragment.options == security + alert + [0]) }
  }

  /// An invalid option ends the list: what follows is not read.
  @Test(
    arguments: [[0x82, 0, 0, 0], [0x82, 1, 0, 0], [0x82, 5, 0, 0], [1, 1, 1, 0x82], [0, 0x82, 2, 0]] as [[UInt8]])
  func brokenOptions(options: [UInt8]) {
    let packet = packet(1000, options: options)
    let fragments = cut(packet, limit: 600)
    check(fragments, of: packet)
    for fragment in fragments.dropFirst() { #expect(fragment.options.isEmpty) }
  }

  /// The fragmenter leaves packets whole that their sender does not allow to be cut, that are not
  /// IPv4, or that would end behind the last offset.
  @Test func whatMayNotBeCut() {
    #expect(!mayCut(packet(1400, mayNotFragment: true), limit: 600))
    #expect(!mayCut(packet(1400, offset: 0x1FFF), limit: 600))
    #expect(mayCut(packet(1400, offset: (65_535 - 1400) / 8), limit: 600))
    #expect(!mayCut(packet(1400), limit: 27))
    var maker = PacketMaker()
    maker.isV6 = true
    #expect(!mayCut(maker.packet(payload(1400)), limit: 600))
    #expect(!mayCut([0x45], limit: 600))
  }

  /// Bytes behind the end of the packet are not sent.
  @Test func whatIsBehindTheEndStays() {
    let packet = packet(1000)
    check(cut(packet + payload(50), limit: 600), of: packet)
  }

  /// The packets of a super-packet are cut if they are too large, with checksums that are right.
  @Test func superPacketsAreCut() throws {
    var maker = PacketMaker()
    maker.isTCP = false
    maker.mayFragment = true
    let (header, bytes) = maker.superPacket(payload(2500), segmentSize: 1200)
    var copy = bytes
    var splitter = SegmentSplitter()
    var fragments = [Fragment]()
    let isWhole = copy.withMutableBytes { bytes in
      splitter.split(&bytes, header: header, limit: 1000) { (bytes: RawSpan) in fragments.append(Fragment(bytes.array))
      }
    }
    #expect(isWhole)
    #expect(fragments.map(\.offset) == [0, 122, 0, 122, 0])
    for (number, size) in [1200, 1200, 100].enumerated() {
      maker.identification = 42 + UInt16(number)
      let whole = maker.packet(Array(payload(2500)[number * 1200..<number * 1200 + size]))
      let parts = number == 2 ? fragments[4...] : fragments[number * 2..<number * 2 + 2]
      #expect(parts.flatMap(\.payload) == Array(whole[20...]))
    }
  }
}

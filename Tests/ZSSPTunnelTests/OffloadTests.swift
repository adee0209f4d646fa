// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPTunnel

/// Super-packets are cut into the packets that they stand for, and packets are joined to
/// super-packets that stand for them.
@Suite(.tags(.fast))
struct OffloadTests {
  private func checksum(_ bytes: [UInt8]) -> UInt16 { ~Checksum.folded(Checksum.sum(bytes.rawBytes)) }

  @Test func checksumsAreThoseOfTheWordByWordSum() {
    for count in [0, 1, 2, 7, 8, 9, 20, 31, 1400, 65_535] {
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255) }
      #expect(checksum(bytes) == PacketMaker.checksum(bytes).bigEndian, "\(count)")
    }
    let ones = [UInt8](repeating: 0xFF, count: 65_535)
    #expect(checksum(ones) == PacketMaker.checksum(ones).bigEndian)
  }

  /// Kinds of packets, and sizes of payloads: one segment, several, the last shorter, and segments
  /// shorter than their headers.
  @Test(arguments: [false, true], [(1, 1000), (1000, 1000), (1001, 1000), (60_000, 1368), (300, 16)])
  func tcpIsCut(isV6: Bool, sizes: (total: Int, segment: Int)) throws {
    var maker = PacketMaker()
    maker.isV6 = isV6
    maker.flags = 0x99  // CWR, ACK, PSH, FIN
    let payload = payload(sizes.total)
    let (header, bytes) = maker.superPacket(payload, segmentSize: sizes.segment)
    let packets = try #require(SegmentSplitter.packets(bytes, header: header))
    let starts = Array(stride(from: 0, to: sizes.total, by: sizes.segment))
    #expect(packets.count == starts.count)
    for (number, start) in starts.enumerated() {
      let end = min(start + sizes.segment, sizes.total)
      maker.sequence = 7000 + UInt32(start)
      maker.identification = 42 + UInt16(number)
      maker.flags = 0x10 | (number == 0 ? 0x80 : 0) | (end == sizes.total ? 0x09 : 0)
      #expect(packets[number] == maker.packet(Array(payload[start..<end])))
    }
  }

  @Test(arguments: [false, true]) func udpIsCut(isV6: Bool) throws {
    var maker = PacketMaker()
    maker.isV6 = isV6
    maker.isTCP = false
    let payload = payload(3000)
    let (header, bytes) = maker.superPacket(payload, segmentSize: 1200)
    let packets = try #require(SegmentSplitter.packets(bytes, header: header))
    #expect(packets.count == 3)
    for (number, packet) in packets.enumerated() {
      maker.identification = 42 + UInt16(number)
      #expect(packet == maker.packet(Array(payload[number * 1200..<min(3000, number * 1200 + 1200)])))
    }
  }

  /// The FIN of a super-packet that lost its end would end the stream too early.
  @Test(arguments: [false, true], [false, true])
  func theLastSegmentIsTakenOffWithItsFlags(isV6: Bool, isTCP: Bool) throws {
    var maker = PacketMaker()
    maker.isV6 = isV6
    maker.isTCP = isTCP
    maker.flags = 0x19  // ACK, PSH, FIN
    var (header, bytes) = maker.superPacket(payload(2001), segmentSize: 1000)
    maker.flags = 0x10
    var expected: [[UInt8]] = []
    for number in 0..<2 {
      maker.sequence = 7000 + UInt32(number * 1000)
      maker.identification = 42 + UInt16(number)
      expected.append(maker.packet(Array(payload(2001)[number * 1000..<number * 1000 + 1000])))
    }
    for count in [2, 1, 0] {
      var elements = bytes.mutableSpan
      var packet = elements.mutableBytes
      let size = SegmentSplitter.removeLast(from: &packet, header: header)
      bytes.removeLast(bytes.count - size)
      #expect(size == (count == 0 ? 0 : maker.headerSize + count * 1000))
      guard count > 0 else { continue }
      #expect(InnerPacket(bytes.rawBytes)?.length == size)
      #expect(SegmentSplitter.packets(bytes, header: header) == Array(expected.prefix(count)))
    }
    var single = maker.superPacket(payload(100), segmentSize: 0)
    single.header.segmentation = .none
    header.segmentSize = 0
    for header in [single.header, header] {
      var elements = single.bytes.mutableSpan
      var packet = elements.mutableBytes
      #expect(SegmentSplitter.removeLast(from: &packet, header: header) == 0)
    }
  }

  @Test(arguments: [false, true], [false, true]) func aSinglePacketGetsItsChecksum(isV6: Bool, isTCP: Bool) throws {
    var maker = PacketMaker()
    maker.isV6 = isV6
    maker.isTCP = isTCP
    var (header, bytes) = maker.superPacket(payload(777), segmentSize: 0)
    header.segmentation = .none
    #expect(SegmentSplitter.packets(bytes, header: header) == [maker.packet(payload(777))])
  }

  /// Nothing that a header says makes more of a packet than there is.
  @Test func headersThatCannotBeAreRefused() {
    let (good, bytes) = PacketMaker().superPacket(payload(2000), segmentSize: 1000)
    var wrong: [VirtioHeader] = []
    for start in [0, 19, 2000, 65_535] {
      var header = good
      header.checksumStart = start
      wrong.append(header)
    }
    var empty = good
    empty.segmentSize = 0
    wrong.append(empty)
    for header in wrong { #expect(SegmentSplitter.packets(bytes, header: header) == nil) }
    var single = good
    single.segmentation = .none
    single.checksumOffset = 60_000
    #expect(SegmentSplitter.packets(bytes, header: single) == nil)
    let unknown = [0, 77] + [UInt8](repeating: 0, count: 8)
    let header = VirtioHeader(unknown.rawBytes)
    #expect(header == nil)
  }

  /// Returns the joined super-packets, split into packets again.
  private func joined(
    _ packets: [[UInt8]], abilities: Coalescer.Abilities = .init(tcp: true, udp: true)
  ) -> (writes: Int, packets: [[UInt8]]) {
    var coalescer = Coalescer(abilities)
    var writes: [[UInt8]] = []
    for packet in packets { coalescer.add(packet.rawBytes) { writes.append($0.array) } }
    coalescer.flush { writes.append($0.array) }
    let all = writes.flatMap { write -> [[UInt8]] in
      guard let header = VirtioHeader(write.rawBytes) else { return [] }
      return SegmentSplitter.packets(Array(write[VirtioHeader.size...]), header: header) ?? []
    }
    return (writes.count, all)
  }

  private func tcp(_ maker: PacketMaker, count: Int, size: Int) -> [[UInt8]] {
    (0..<count).map { number in
      var maker = maker
      maker.sequence += UInt32(number * size)
      maker.identification += UInt16(number)
      return maker.packet(payload(size))
    }
  }

  @Test(arguments: [false, true]) func tcpIsJoined(isV6: Bool) {
    var maker = PacketMaker()
    maker.isV6 = isV6
    var packets = tcp(maker, count: 40, size: 1368)
    // The last is shorter, and says that it is.
    maker.sequence += UInt32(40 * 1368)
    maker.identification += 40
    maker.flags = 0x18
    packets.append(maker.packet(payload(100)))
    let result = joined(packets)
    #expect(result.writes == 1)
    #expect(result.packets == packets)
  }

  @Test(arguments: [false, true]) func udpIsJoined(isV6: Bool) {
    var maker = PacketMaker()
    maker.isV6 = isV6
    maker.isTCP = false
    let packets = (0..<10).map { number in
      maker.identification = 42 + UInt16(number)
      return maker.packet(payload(number == 9 ? 50 : 1200))
    }
    let result = joined(packets)
    #expect(result.writes == 1)
    #expect(result.packets == packets)
    #expect(joined(packets, abilities: .init(tcp: true, udp: false)).writes == 10)
  }

  /// A super-packet has no more than the system takes, and the next begins where it ended.
  @Test func muchIsSeveralSuperPackets() {
    let packets = tcp(PacketMaker(), count: 130, size: 1368)
    let result = joined(packets)
    #expect(result.writes == 3)
    #expect(result.packets.map { $0[24...] } == packets.map { $0[24...] })
  }

  /// Packets that differ in a way that a super-packet cannot have stay apart, in order.
  @Test(
    arguments: [
      { $0.acknowledgement += 1 }, { $0.window += 1 }, { $0.options[11] += 1 }, { $0.hopLimit -= 1 },
      { $0.flags |= 0x01 }, { $0.flags |= 0x20 }, { $0.sequence += 1 }, { $0.sequence -= 1368 },
    ] as [@Sendable (inout PacketMaker) -> Void])
  func whatDiffersStaysApart(change: @Sendable (inout PacketMaker) -> Void) {
    var packets = tcp(PacketMaker(), count: 2, size: 1368)
    var maker = PacketMaker()
    maker.sequence += 2 * 1368
    change(&maker)
    packets.append(maker.packet(payload(1368)))
    let result = joined(packets)
    #expect(result.writes == 2)
    #expect(result.packets.map { $0[24...] } == packets.map { $0[24...] })
  }

  /// Packets that may be fragmented keep their identification: they are joined only where it counts
  /// up, as it does when they are cut again.
  @Test(arguments: [1, 2, 0]) func identificationsStay(step: UInt16) {
    var maker = PacketMaker()
    maker.mayFragment = true
    let packets = (0..<5).map { number in
      maker.sequence = 7000 + UInt32(number * 1000)
      maker.identification = 0xFFFE &+ UInt16(number) * step
      return maker.packet(payload(1000))
    }
    let result = joined(packets)
    #expect(result.writes == (step == 1 ? 1 : 5))
    #expect(result.packets == packets)
  }

  /// A damaged packet is for its receiver to refuse: joined, it would get a checksum that is right.
  @Test func aDamagedPacketIsPassedOnAsItIs() {
    var packets = tcp(PacketMaker(), count: 3, size: 1000)
    packets[1][500] ^= 1
    let result = joined(packets)
    #expect(result.writes == 3)
    #expect(result.packets == packets)
  }

  @Test func flowsAreJoinedBesideEachOther() {
    let flows = (0..<6).map { number in
      var maker = PacketMaker()
      maker.sourcePort += UInt16(number)
      return tcp(maker, count: 5, size: 1000)
    }
    let packets = (0..<5).flatMap { index in flows.map { $0[index] } }
    #expect(joined(packets).writes == 6)
    // With more flows than have room the oldest leaves; nothing is lost.
    let many = (0..<3).flatMap { round in
      (0..<20).map { number in
        var maker = PacketMaker()
        maker.sourcePort += UInt16(number)
        maker.sequence += UInt32(round * 1000)
        return maker.packet(payload(1000))
      }
    }
    #expect(Set(joined(many).packets) == Set(many))
  }

  @Test func whatIsNoFlowIsPassedOn() {
    let packets = [[0x45], payload(64), [UInt8](repeating: 0x45, count: 1000), [UInt8](repeating: 0x60, count: 60)]
    let result = joined(packets)
    #expect(result.writes == packets.count)
    #expect(result.packets == packets)
  }
}

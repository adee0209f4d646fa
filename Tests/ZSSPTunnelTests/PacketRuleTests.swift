// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPTunnel

/// The rules of the IETF's documents for single packets.
@Suite(.tags(.fast))
struct PacketRuleTests {
  private func answer(_ packet: [UInt8]) -> [UInt8]? { TooBig.answer(to: packet.rawBytes, mtu: 1280) }

  /// RFC 4443, section 2.4 (e): errors are answered with no error, nor is what comes from no single
  /// host.
  @Test func errorsOfICMPv6AreNotAnswered() {
    var maker = PacketMaker()
    maker.isV6 = true
    var packet = maker.packet(payload(1400))
    #expect(answer(packet) != nil)
    packet[6] = 58
    for (type, isAnswered) in [(1, false), (2, false), (3, false), (127, false), (128, true), (129, true)] {
      packet[40] = UInt8(type)
      #expect((answer(packet) != nil) == isAnswered, "type \(type)")
    }
  }

  /// RFC 1122, section 3.2.2: the same of IPv4.
  @Test func errorsOfICMPAreNotAnswered() {
    var packet = PacketMaker().packet(payload(1400))
    packet[9] = 1
    for (type, isAnswered) in [(0, true), (3, false), (4, false), (5, false), (8, true), (11, false), (12, false)] {
      packet[20] = UInt8(type)
      #expect((answer(packet) != nil) == isAnswered, "type \(type)")
    }
  }

  @Test func sourcesThatAreNoHostAreNotAnswered() {
    var maker = PacketMaker()
    let v4 = maker.packet(payload(1400))
    for source in [[0, 0, 0, 0], [224, 0, 0, 1], [239, 1, 1, 1], [255, 255, 255, 255]] as [[UInt8]] {
      #expect(answer(Array(v4[..<12]) + source + v4[16...]) == nil, "\(source)")
    }
    maker.isV6 = true
    let v6 = maker.packet(payload(1400))
    for source in [[UInt8](repeating: 0, count: 16), [0xFF, 2] + [UInt8](repeating: 1, count: 14)] {
      #expect(answer(Array(v6[..<8]) + source + v6[24...]) == nil, "\(source)")
    }
  }

  /// RFC 768: a checksum that comes to zero is sent as all ones, for zero says that there is none.
  @Test(arguments: [false, true], [false, true]) func aChecksumOfUDPIsNeverZero(isV6: Bool, isSuper: Bool) throws {
    var maker = PacketMaker()
    maker.isV6 = isV6
    maker.isTCP = false
    let place = maker.start + 6
    // With its own complement behind it the sum comes to zero.
    let first = maker.packet(payload(10) + [0, 0])
    let payload = payload(10) + first[place..<place + 2]
    var (header, bytes) = maker.superPacket(isSuper ? payload + payload : payload, segmentSize: payload.count)
    if !isSuper { header.segmentation = .none }
    let packets = try #require(SegmentSplitter.packets(bytes, header: header))
    #expect(packets.count == (isSuper ? 2 : 1))
    for packet in packets { #expect(Array(packet[place..<place + 2]) == [0xFF, 0xFF]) }
  }

  /// RFC 3168: a router's mark of congestion concerns one packet, and must reach the receiver.
  /// Joined it would be lost, or be on all.
  @Test(arguments: [false, true]) func aMarkOfCongestionStaysWithItsPacket(isV6: Bool) {
    var maker = PacketMaker()
    maker.isV6 = isV6
    var packets: [[UInt8]] = (0..<3).map { number in
      maker.sequence = 7000 + UInt32(number * 1000)
      maker.identification = 42 + UInt16(number)
      return maker.packet(payload(1000))
    }
    if isV6 {
      packets[1][1] |= 0x30
    } else {
      packets[1][1] = 3
      packets[1][10] = 0
      packets[1][11] = 0
      let checksum = PacketMaker.checksum(packets[1][..<20])
      packets[1][10] = UInt8(checksum >> 8)
      packets[1][11] = UInt8(checksum & 255)
    }
    var coalescer = Coalescer(.init(tcp: true, udp: true))
    var written: [[UInt8]] = []
    for packet in packets { coalescer.add(packet.rawBytes) { written.append($0.array) } }
    coalescer.flush { written.append($0.array) }
    #expect(written.map { Array($0[VirtioHeader.size...]) } == packets)
  }

  /// Packets that were taken out of a queue have left room.
  @Test func aQueueThatWasEmptiedHasRoom() {
    var queue = PacketQueue()
    #expect(queue.append([UInt8](repeating: 0, count: PacketQueue.byteLimit)) == 0)
    #expect(queue.takeAll().count == 1)
    for number in 0..<3 { #expect(queue.append([UInt8](repeating: UInt8(number), count: 1000)) == 0) }
    #expect(queue.packets.count == 3)
  }

  /// However small the packets are and however large, what waits has a limit in bytes.
  @Test func bytesThatWaitAreBounded() {
    var queue = PacketQueue()
    let packet = [UInt8](repeating: 0, count: PacketQueue.byteLimit / 10)
    let dropped = (0..<30).reduce(0) { sum, _ in sum + queue.append(packet) }
    #expect(dropped == 20 && queue.packets.count == 10)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPTunnel

/// The answers to packets that are too big.
@Suite(.tags(.fast))
struct TooBigTests {
  private func quote(_ packet: [UInt8], mtu: Int) -> [UInt8]? { TooBig.answer(to: packet.rawBytes, mtu: mtu) }

  @Test func fragmentationNeeded() throws {
    let packet = PacketMaker().packet(payload(1400))
    let answer = try #require(quote(packet, mtu: 1280))
    #expect(answer.count == 576)
    #expect(PacketMaker.checksum(answer[0..<20]) == 0)
    #expect(PacketMaker.checksum(answer[20...]) == 0)
    #expect(Array(answer[12..<20]) == [10, 0, 0, 2, 10, 0, 0, 1])
    #expect(Array(answer[20..<22]) == [3, 4] && Array(answer[26..<28]) == [5, 0])
    #expect(Array(answer[28...]) == Array(packet.prefix(548)))
  }

  @Test func packetTooBig() throws {
    var maker = PacketMaker()
    maker.isV6 = true
    let packet = maker.packet(payload(1400))
    let answer = try #require(quote(packet, mtu: 1300))
    #expect(answer.count == 1280)
    #expect(answer[8..<24] == packet[24..<40] && answer[24..<40] == packet[8..<24])
    #expect(Array(answer[40..<42]) == [2, 0] && Array(answer[44..<48]) == [0, 0, 5, 20])
    let pseudo = answer[8..<40] + [0, 0, 4, 0xD8, 0, 0, 0, 58]
    #expect(PacketMaker.checksum(pseudo + answer[40...]) == 0)
  }

  /// Packets that may be fragmented, and errors, get no answer.
  @Test func nobodyIsAnsweredWhoMustNotBe() {
    var packet = PacketMaker().packet(payload(1400))
    packet[6] = 0
    #expect(quote(packet, mtu: 1280) == nil)
    packet = PacketMaker().packet(payload(1400))
    packet[9] = 1
    packet[20] = 3
    #expect(quote(packet, mtu: 1280) == nil)
    packet = PacketMaker().packet(payload(1400))
    packet[16] = 0xE0
    #expect(quote(packet, mtu: 1280) == nil)
    #expect(quote([0x45], mtu: 1280) == nil)
  }
}

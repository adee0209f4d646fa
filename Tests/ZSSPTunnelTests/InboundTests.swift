// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Foundation
  import Synchronization
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPTunnel

  /// Packets of a peer on their way to the device, which is one end of a pair of sockets here.
  @Suite(.tags(.fast))
  struct InboundTests {
    private let device: TunDevice
    private let other: CInt
    private let drops = DropCounters()
    private let gauges = PeerGauges()
    private let path: InboundPath
    private let peer: PeerInbound
    /// The answers to the peer.
    private let answers = Answers()

    private final class Answers: Sendable {
      let all = Mutex<[TunnelMessage]>([])
    }

    /// Makes a path and its table. Peer 1 has 10.0.0.1 and fd00::1, the sources of packets of
    /// ``PacketMaker``; peer 2 has 10.9.0.0/16.
    init() throws {
      var ends: [CInt] = [-1, -1]
      try #require(socketpair(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0, &ends) == 0)
      device = TunDevice(descriptor: ends[0], name: "pair", segmentsTCP: true, segmentsUDP: true)
      other = ends[1]
      var table = PrefixTable()
      for (text, id) in [("10.0.0.1/32", 1), ("fd00::1/128", 1), ("10.9.0.0/16", 2)] {
        table.insert(try #require(IPPrefix(text)), id)
      }
      path = InboundPath(to: device, table: table, drops: drops)
      let answers = answers
      peer = PeerInbound(1, gauges: gauges, path: path) { answer in answers.all.withLock { $0.append(answer) } }
    }

    /// The packets that came to the device, each with its header.
    private func written() -> [[UInt8]] {
      var packets: [[UInt8]] = []
      var buffer = [UInt8](repeating: 0, count: 70_000)
      while case let count = recv(other, &buffer, buffer.count, 0), count > 0 {
        packets.append(Array(buffer[..<count]))
      }
      return packets
    }

    private func receive(_ messages: [[UInt8]]) {
      for message in messages { peer.receive(message.rawBytes) }
      peer.burstEnded()
    }

    private func drops(_ reason: TunnelDropReason) -> UInt64 { drops.value(reason) }

    /// A mark of the network comes to the packet; one that its sender would not understand costs
    /// the packet.
    @Test(arguments: [false, true]) func congestionIsPassedOn(isV6: Bool) throws {
      defer { close(other) }
      var maker = PacketMaker()
      maker.isV6 = isV6
      var packet = maker.packet(payload(500))
      peer.receive(packet.rawBytes, trafficClass: 3)
      peer.burstEnded()
      #expect(written().isEmpty && drops(.congested) == 1)
      packet.withMutableBytes { TrafficClass.mark(&$0, with: 2) }
      for outer in [0, 2, 3] as [UInt8] {
        peer.receive(packet.rawBytes, trafficClass: 0x28 | outer)
        peer.burstEnded()
        let came = try #require(written().first)
        #expect(Array(came[VirtioHeader.size...]).trafficClass == (outer == 3 ? 3 : 2))
      }
    }

    /// The other side of a connection learns from its first packet that the way back is narrower.
    @Test func connectionsLearnThePath() throws {
      defer { close(other) }
      var maker = PacketMaker()
      maker.flags = 0x12
      maker.options = [2, 4, 0x05, 0xB4]
      let packet = maker.packet([])
      receive([packet])
      #expect(written() == [[UInt8](repeating: 0, count: VirtioHeader.size) + packet])
      gauges.pathLimit.store(1340, ordering: .relaxed)
      receive([packet])
      maker.options = [2, 4, 0x05, 0x14]
      #expect(written() == [[UInt8](repeating: 0, count: VirtioHeader.size) + maker.packet([])])
      // IPv6 packets of 1,280 bytes always pass.
      gauges.pathLimit.store(1200, ordering: .relaxed)
      maker.isV6 = true
      maker.options = [2, 4, 0x05, 0xB4]
      receive([maker.packet([])])
      maker.options = [2, 4, 0x04, 0xC4]
      #expect(written() == [[UInt8](repeating: 0, count: VirtioHeader.size) + maker.packet([])])
    }

    /// Probes are answered; answers are passed on, but no more than there were probes.
    @Test func probesOfThePath() {
      defer { close(other) }
      let answers = answers
      final class Box: Sendable { let numbers = Mutex<[UInt64]>([]) }
      let box = Box()
      let peer = PeerInbound(1, gauges: gauges, path: path) { answer in
        answers.all.withLock { $0.append(answer) }
      } probed: { number in
        box.numbers.withLock { $0.append(number) }
      }
      peer.receive(TunnelMessage.bytes(of: .init(number: 7, size: 1400)).rawBytes)
      #expect(answers.all.withLock { $0 } == [.probeAnswer(7)])
      gauges.probed(2)
      for number in 1...5 as ClosedRange<UInt64> { peer.receive(TunnelMessage.probeAnswer(number).bytes.rawBytes) }
      peer.burstEnded()
      #expect(box.numbers.withLock { $0 } == [1, 2])
      #expect(written().isEmpty)
    }

    @Test(arguments: [false, true]) func aPacketIsWritten(isV6: Bool) {
      defer { close(other) }
      var maker = PacketMaker()
      maker.isV6 = isV6
      let packet = maker.packet(payload(500))
      receive([packet])
      #expect(written() == [[UInt8](repeating: 0, count: VirtioHeader.size) + packet])
      #expect(gauges.packetsReceived.load(ordering: .relaxed) == 1)
      #expect(gauges.bytesReceived.load(ordering: .relaxed) == UInt64(packet.count))
      #expect(gauges.lastReceived != nil)
    }

    /// A burst comes to the device as one super-packet, when it is over and not before.
    @Test func aBurstIsJoined() {
      defer { close(other) }
      var maker = PacketMaker()
      let packets = (0..<3).map { number in
        maker.sequence = 7000 + UInt32(number * 1000)
        maker.identification = 42 + UInt16(number)
        return maker.packet(payload(1000))
      }
      for packet in packets { peer.receive(packet.rawBytes) }
      #expect(written().isEmpty)
      peer.burstEnded()
      let all = written()
      #expect(all.count == 1)
      let header = all.first.flatMap { VirtioHeader($0.rawBytes) }
      #expect(header?.segmentation == .tcp4 && header?.segmentSize == 1000)
      #expect(gauges.packetsReceived.load(ordering: .relaxed) == 3)
    }

    /// Bytes behind the packet's end are not passed on.
    @Test func whatIsBehindTheEndIsCutOff() {
      defer { close(other) }
      let packet = PacketMaker().packet(payload(100))
      receive([packet + [1, 2, 3]])
      #expect(written().map { Array($0[VirtioHeader.size...]) } == [packet])
    }

    /// A peer sends from its own addresses only, of either family: from no others, and from none of
    /// another peer's.
    @Test func foreignSourcesAreDropped() {
      defer { close(other) }
      var v6 = PacketMaker()
      v6.isV6 = true
      var foreign = [PacketMaker().packet(payload(10)), v6.packet(payload(10)), PacketMaker().packet(payload(10))]
      foreign[0][15] = 77
      foreign[1][23] = 77
      foreign[2][13] = 9
      foreign[2][14] = 1
      receive(foreign)
      #expect(written().isEmpty)
      #expect(drops(.foreignSource) == 3)
      #expect(gauges.packetsReceived.load(ordering: .relaxed) == 0)
      // It is alive nevertheless.
      #expect(gauges.lastReceived != nil)
    }

    @Test func whatIsNoPacketIsDropped() {
      defer { close(other) }
      receive([[0x45], [0x60, 0, 0, 0], [UInt8](repeating: 0x70, count: 40), [0x45, 0, 0, 200] + payload(60)])
      #expect(written().isEmpty)
      #expect(drops(.malformed) == 4)
    }

    /// A question is answered with its number; nothing of the tunnel's own comes to the device.
    @Test func messagesOfTheTunnelItself() {
      defer { close(other) }
      receive([TunnelMessage.question(7).bytes, TunnelMessage.answer(5).bytes, [], [3, 1, 4]])
      #expect(answers.all.withLock { $0 } == [.answer(7)])
      #expect(written().isEmpty)
      #expect(TunnelDropReason.allCases.allSatisfy { drops($0) == 0 })
    }

    /// The answer to a probe shows that the peer is there, and how far away it is if that is known.
    @Test func answersToProbesAreRecorded() {
      defer { close(other) }
      peer.answered(roundTrip: nil)
      #expect(gauges.lastReceived != nil)
      #expect(gauges.roundTrip == nil)
      peer.answered(roundTrip: .milliseconds(3))
      #expect(gauges.roundTrip == .milliseconds(3))
    }

    /// A peer that is removed from the table is out with the next packet.
    @Test func theTableCanChange() {
      defer { close(other) }
      let packet = PacketMaker().packet(payload(10))
      receive([packet])
      path.adopt(PeerTable())
      receive([packet])
      #expect(written().count == 1)
      #expect(drops(.foreignSource) == 1)
    }

    /// Every packet of a super-packet that the system does not take is counted.
    @Test func aFullDeviceIsCounted() {
      close(other)
      var maker = PacketMaker()
      let packets = (0..<5).map { number in
        maker.sequence = 7000 + UInt32(number * 1000)
        return maker.packet(payload(1000))
      }
      receive(packets)
      #expect(drops(.deviceFull) == 5)
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP

@testable import ZSSPTunnel

/// What a peer's state does with time and packets.
struct PeerTests {
  private let second = TunnelClock.second

  @Test func anIdlePeerIsLeftAlone() {
    var liveness = Liveness()
    for time in 1...100 {
      #expect(liveness.check(at: Int64(time) * second, lastReceived: 0, keepalive: nil) == .nothing)
    }
  }

  /// A peer that gets packets and is silent is asked, and then given another session.
  @Test func aSilentPeerIsAskedAndGivenUp() {
    var liveness = Liveness()
    liveness.sent(at: 10 * second)
    #expect(liveness.check(at: 10 * second + 1, lastReceived: 0, keepalive: nil) == .nothing)
    #expect(liveness.check(at: 11 * second, lastReceived: 0, keepalive: nil) == .question)
    #expect(liveness.check(at: 14 * second, lastReceived: 0, keepalive: nil) == .question)
    #expect(liveness.check(at: 15 * second, lastReceived: 0, keepalive: nil) == .newSession)
    liveness.restart()
    #expect(liveness.check(at: 16 * second, lastReceived: 0, keepalive: nil) == .nothing)
  }

  @Test func anAnswerIsEnough() {
    var liveness = Liveness()
    liveness.sent(at: 100 * second)
    // Whoever answers is asked how long it takes, but not all the time.
    #expect(liveness.check(at: 101 * second, lastReceived: 100 * second + 5, keepalive: nil) == .question)
    liveness.sent(at: 102 * second)
    #expect(liveness.check(at: 103 * second, lastReceived: 102 * second + 5, keepalive: nil) == .nothing)
    #expect(liveness.unansweredSince == 0)
  }

  /// Who keeps a way open learns by it that the peer was started again.
  @Test func silenceIsFilledWhereThatIsWanted() {
    var liveness = Liveness()
    func check(_ time: Int64, lastReceived: Int64) -> Liveness.Action {
      liveness.check(at: time * second, lastReceived: lastReceived * second, keepalive: 25)
    }
    #expect(check(25, lastReceived: 0) == .keepalive)
    #expect(check(26, lastReceived: 0) == .question)
    #expect(check(27, lastReceived: 26) == .nothing)
    #expect(check(50, lastReceived: 26) == .nothing)
    #expect(check(51, lastReceived: 26) == .keepalive)
    #expect(check(52, lastReceived: 26) == .question)
    #expect(liveness.isSilent(lastReceived: 26 * second))
    #expect(check(56, lastReceived: 26) == .newSession)
  }

  @Test func theOldestPacketLeaves() {
    var queue = PacketQueue()
    for number in 0..<PacketQueue.limit { #expect(queue.append([UInt8(number)]) == 0) }
    #expect(queue.append([200]) == 1)
    #expect(queue.packets.first == [1] && queue.packets.last == [200])
    // One that is large pushes out as many as it takes, and stays itself.
    #expect(queue.append([UInt8](repeating: 0, count: PacketQueue.byteLimit + 1)) == PacketQueue.limit)
    #expect(queue.packets.count == 1)
    #expect(queue.takeAll().count == 1)
    #expect(queue.isEmpty)
  }

  /// A super-packet that waits, or leaves, counts as the packets that it stands for.
  @Test func superPacketsCountAsPackets() {
    let (header, packet) = PacketMaker().superPacket(payload(25_000), segmentSize: 1000)
    var bytes = [UInt8](repeating: 0, count: VirtioHeader.size) + packet
    bytes.withMutableBytes { header.write(to: &$0) }
    let size = SegmentSplitter.measure(bytes.rawBytes)
    #expect(size.packets == 25)
    #expect(size.bytes == 25_000 + 25 * PacketMaker().headerSize)
    var queue = PacketQueue()
    let room = PacketQueue.byteLimit / bytes.count
    for _ in 0..<room { #expect(queue.append(bytes) == 0) }
    #expect(queue.packetCount == room * 25)
    #expect(queue.append(bytes) == 25)
  }

  /// Bursts are kept whole; of a queue that stands a packet is dropped now and then.
  @Test func aQueueDoesNotStand() {
    var queue = StandingQueue()
    let millisecond = 1_000_000 as Int64
    // A packet after a long time is not one that has waited for a long time.
    let drops = (100...150).filter { queue.drops(at: $0 * millisecond) }
    #expect(drops == [111, 121, 131, 141])
    queue.emptied()
    let dropsAfterwards = [500, 501, 510].filter { queue.drops(at: $0 * millisecond) }
    #expect(dropsAfterwards == [])
  }

  private func read(_ bytes: [UInt8]) -> TunnelMessage { TunnelMessage(bytes.rawBytes) }

  @Test func messagesOfTheTunnelItself() {
    for message in [TunnelMessage.keepalive, .question(7), .answer(.max)] {
      #expect(read(message.bytes) == message)
    }
    #expect(read([1]) == .unknown)
    #expect(read([0x0F]) == .unknown)
    #expect(read([0x45]) == .packet)
  }

  @Test func sizesFitTheWay() {
    var configuration = TunnelConfiguration()
    func sizes(_ mtu: Int?, _ datagram: Int?, path: Int) -> [Int] {
      (configuration.mtu, configuration.datagram) = (mtu, datagram)
      let plan = NetworkPlan(configuration, pathMTU: path)
      return [plan.mtu, plan.datagram, plan.splitsPackets ? 1 : 0]
    }
    #expect(sizes(nil, nil, path: 1500) == [1420, 1452, 0])
    #expect(sizes(nil, nil, path: 9000) == [8920, 8952, 0])
    #expect(sizes(1280, nil, path: 1500) == [1280, 1312, 0])
    // Larger packets than the way takes are cut by the protocol.
    #expect(sizes(9000, nil, path: 1500) == [9000, 1452, 1])
    #expect(sizes(nil, 1232, path: 1500) == [1200, 1232, 0])
    #expect(sizes(nil, nil, path: 1300) == [1220, 1252, 0])
    // A device with less than IPv6 needs would lose it without a word.
    configuration.addresses = [IPPrefix("fd00::1/64")].compactMap { $0 }
    #expect(sizes(nil, nil, path: 1300) == [1280, 1252, 1])
    #expect(sizes(nil, 1232, path: 1500) == [1280, 1232, 1])
  }

  /// The routes of networks that the device is in are the system's; the route to everything does not replace its own.
  @Test func routes() throws {
    let addresses = [try #require(IPPrefix("10.0.0.1/24")), try #require(IPPrefix("fd00::1/128"))]
    let prefixes = ["10.0.0.2/32", "10.1.0.0/16", "0.0.0.0/0", "fd00::2/128"].compactMap { IPPrefix($0) }
    #expect(
      NetworkPlan.routes(prefixes, addresses, device: "d") == [
        "route add 10.1.0.0/16 dev d", "route add 0.0.0.0/1 dev d", "route add 128.0.0.0/1 dev d",
        "route add fd00::2/128 dev d",
      ])
  }
}

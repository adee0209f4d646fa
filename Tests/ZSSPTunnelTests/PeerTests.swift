// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto

@testable import ZSSPTunnel

/// The changes of a peer's state with time and packets.
@Suite(.tags(.fast))
struct PeerTests {
  private func at(_ seconds: Int64, plus nanoseconds: Int64 = 0) -> Instant {
    Instant(nanoseconds: seconds * 1_000_000_000 + nanoseconds)
  }

  @Test func anIdlePeerIsLeftAlone() {
    var liveness = Liveness()
    for time in 1...100 as ClosedRange<Int64> {
      #expect(liveness.check(at: at(time), lastReceived: nil, keepalive: nil) == .nothing)
    }
  }

  /// A peer that gets packets and is silent is asked, and then given another session.
  @Test func aSilentPeerIsAskedAndReplaced() {
    var liveness = Liveness()
    liveness.sent(at: at(10))
    #expect(liveness.check(at: at(10, plus: 1), lastReceived: nil, keepalive: nil) == .nothing)
    #expect(liveness.check(at: at(11), lastReceived: nil, keepalive: nil) == .probe)
    #expect(liveness.check(at: at(14), lastReceived: nil, keepalive: nil) == .probe)
    #expect(liveness.check(at: at(15), lastReceived: nil, keepalive: nil) == .newSession)
    liveness.restart()
    #expect(liveness.check(at: at(16), lastReceived: nil, keepalive: nil) == .nothing)
  }

  @Test func anAnswerIsEnough() {
    var liveness = Liveness()
    liveness.sent(at: at(100))
    // A peer that answers is asked how long it takes, but not all the time.
    #expect(liveness.check(at: at(101), lastReceived: at(100, plus: 5), keepalive: nil) == .probe)
    liveness.sent(at: at(102))
    #expect(liveness.check(at: at(103), lastReceived: at(102, plus: 5), keepalive: nil) == .nothing)
    #expect(liveness.unansweredSince == nil)
  }

  /// A keepalive shows that the peer was started again.
  @Test func silenceIsFilledWhereThatIsWanted() {
    var liveness = Liveness()
    func check(_ time: Int64, lastReceived: Int64?) -> Liveness.Action {
      liveness.check(at: at(time), lastReceived: lastReceived.map { at($0) }, keepalive: .seconds(25))
    }
    #expect(check(25, lastReceived: nil) == .probe)
    #expect(check(26, lastReceived: nil) == .probe)
    #expect(check(27, lastReceived: 26) == .nothing)
    #expect(check(50, lastReceived: 26) == .nothing)
    #expect(check(51, lastReceived: 26) == .probe)
    #expect(check(52, lastReceived: 26) == .probe)
    #expect(!liveness.isSilent(at: at(52), lastReceived: at(26)))
    #expect(liveness.isSilent(at: at(53), lastReceived: at(26)))
    #expect(check(56, lastReceived: 26) == .newSession)
  }

  #if os(Linux)
    /// The promise of `enroll` is what the flags demand: without π3 the peer can open a session
    /// without the password.
    @Test func enrolmentPromisesNoMoreThanTheFlags() {
      #expect(Tunnel.enrolled("b", flags: .persistent).hasSuffix(": the next session needs the one-time password"))
      for flags in [SecurityFlags.opportunistic, [.initiatorDisallowsDowngrade]] {
        #expect(Tunnel.enrolled("b", flags: flags).contains("one that the peer opens does not"))
      }
    }

    /// A pause ends at once for another endpoint, and for a packet after a time without any; not for
    /// a packet that follows others, nor where a keepalive looks for the peer all the time.
    @Test func whatEndsAPause() throws {
      func pausing(keepalive: Duration? = nil) -> (TunnelPeer, PeerConfiguration) {
        var configuration = PeerConfiguration(publicKey: StaticKey().publicKey)
        configuration.keepalive = keepalive
        let peer = TunnelPeer(id: 0, configuration)
        peer.demanded(at: at(1))
        for _ in 0..<8 { peer.attemptFailed(at: at(10)) }
        return (peer, configuration)
      }
      var (peer, configuration) = pausing()
      #expect(!peer.backoff.isDue(at: at(11)))
      configuration.name = "b"
      peer.adopt(configuration)
      peer.demanded(at: at(12))
      #expect(!peer.backoff.isDue(at: at(12)))
      configuration.endpoints = [try PeerEndpoint("192.0.2.1:20763")]
      peer.adopt(configuration)
      #expect(peer.backoff.isDue(at: at(12)))
      (peer, _) = pausing()
      peer.demanded(at: at(60))
      #expect(!peer.backoff.isDue(at: at(60)))
      (peer, _) = pausing()
      peer.demanded(at: at(61))
      #expect(peer.backoff.isDue(at: at(61)))
      (peer, _) = pausing(keepalive: .seconds(5))
      peer.demanded(at: at(61))
      #expect(!peer.backoff.isDue(at: at(61)))
    }
  #endif

  /// A peer that is probed out of turn is silent if it does not answer for a while.
  @Test func aProbeShowsWhetherAPeerIsThere() {
    var liveness = Liveness()
    liveness.probed(at: at(100), lastReceived: at(99))
    #expect(liveness.isProbeUnanswered(lastReceived: at(99)))
    #expect(!liveness.isSilent(at: at(101), lastReceived: at(99)))
    #expect(liveness.isSilent(at: at(102), lastReceived: at(99)))
    #expect(!liveness.isProbeUnanswered(lastReceived: at(100, plus: 1)))
    #expect(!liveness.isSilent(at: at(102), lastReceived: at(100, plus: 1)))
  }

  /// Pauses double up to two minutes, and differ.
  @Test func attemptsBackOff() {
    var backoff = Backoff()
    var now = at(0)
    var pauses = [Int64]()
    for _ in 0..<12 {
      #expect(backoff.isDue(at: now))
      backoff.failed(at: now, random: 0)
      var pause: Int64 = 0
      while !backoff.isDue(at: now.advanced(by: .seconds(pause))) { pause += 1 }
      pauses.append(pause)
      now = now.advanced(by: .seconds(pause))
    }
    #expect(pauses == [2, 4, 8, 16, 32, 64, 120, 120, 120, 120, 120, 120])
    backoff.failed(at: now, random: 99)
    #expect(!backoff.isDue(at: now.advanced(by: .seconds(90))) && backoff.isDue(at: now.advanced(by: .seconds(91))))
    backoff.restart()
    #expect(backoff.isDue(at: now) && backoff.failures == 0)
    // The first of the longest pauses is of any length.
    for _ in 0..<Backoff.spreading { backoff.failed(at: now, random: 0) }
    backoff.failed(at: now, random: 99)
    #expect(!backoff.isDue(at: now.advanced(by: .seconds(1))) && backoff.isDue(at: now.advanced(by: .seconds(2))))
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
    // A packet after a long time is not one that has waited for a long time.
    let drops = (100...150 as ClosedRange<Int64>).filter { queue.drops(at: Instant.milliseconds($0)) }
    #expect(drops == [111, 121, 131, 141])
    queue.emptied()
    let dropsAfterwards = ([500, 501, 510] as [Int64]).filter { queue.drops(at: Instant.milliseconds($0)) }
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
      configuration.mtu = mtu
      configuration.datagram = datagram
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

  /// The routes of networks that the device is in are the system's; the route to everything does
  /// not replace its own.
  @Test func routes() throws {
    let addresses = [try #require(IPPrefix("10.0.0.1/24")), try #require(IPPrefix("fd00::1/128"))]
    let prefixes = ["10.0.0.2/32", "10.1.0.0/16", "0.0.0.0/0", "fd00::2/128"].compactMap { IPPrefix($0) }
    var configuration = TunnelConfiguration()
    configuration.addresses = addresses
    configuration.peers = [PeerConfiguration(publicKey: StaticKey().publicKey)]
    configuration.peers[0].allowedIPs = prefixes + prefixes
    let routing = RoutingPlan(device: "d", ownTable: 20_770, mark: 20_770)
    func lines(_ table: RoutingTable) -> [String] {
      configuration.table = table
      return routing.routes(configuration).map { $0.line("add", device: "d") }
        + routing.rules(configuration).flatMap { $0.arguments("add") }.map { $0.joined(separator: " ") }
    }
    #expect(
      lines(.main) == [
        "route add 10.1.0.0/16 dev d", "route add 0.0.0.0/1 dev d", "route add 128.0.0.0/1 dev d",
        "route add fd00::2/128 dev d",
      ])
    #expect(
      lines(.auto) == [
        "route add 10.1.0.0/16 dev d", "route add fd00::2/128 dev d", "route add 0.0.0.0/0 dev d table 20770",
        "-4 rule add priority 32414 table main suppress_prefixlength 0",
        "-4 rule add priority 32415 not fwmark 20770 table 20770",
      ])
    #expect(lines(.off) == [])
    #expect(
      lines(.number(7)) == [
        "route add 10.0.0.2/32 dev d table 7", "route add 10.1.0.0/16 dev d table 7",
        "route add 0.0.0.0/0 dev d table 7", "route add fd00::2/128 dev d table 7",
      ])
  }

  /// `replace` takes an address that a network manager put onto the new device first.
  @Test func addressesMayBeThereAlready() throws {
    var configuration = TunnelConfiguration()
    configuration.addresses = [try #require(IPPrefix("10.0.0.1/24")), try #require(IPPrefix("fd00::1/64"))]
    let routing = RoutingPlan(device: "d", ownTable: 20_770, mark: 20_770)
    let lines = NetworkPlan(configuration, pathMTU: 1500).deviceLines(configuration, routing: routing)
    #expect(lines.prefix(2) == ["address replace 10.0.0.1/24 dev d", "address replace fd00::1/64 dev d"])
  }

  /// Routes of the main table alone take the tunnel's own datagrams into it if there is a mark.
  @Test func endpointsThatNeedAWayAround() throws {
    let address = try #require(IPAddress("192.0.2.1"))
    var configuration = TunnelConfiguration()
    configuration.peers = [PeerConfiguration(publicKey: StaticKey().publicKey)]
    for (prefix, expected) in [
      ("0.0.0.0/0", [false, true, false, false]), ("192.0.2.0/24", [true, true, false, false]),
    ] {
      configuration.peers[0].allowedIPs = [try #require(IPPrefix(prefix))]
      let covered = [RoutingTable.auto, .main, .off, .number(7)].map { table in
        configuration.table = table
        return NetworkPlan.isCovered(address, by: configuration)
      }
      #expect(covered == expected, "\(prefix)")
    }
  }

  /// Each recorded line is read as what it is, and no other line is read.
  @Test func rulesAsLines() throws {
    let rule = PolicyRule(.v6, mark: 7, table: 20_763)
    #expect(PolicyRule(line: "\(rule)"[...]) == rule)
    for line in ["rule 6 7 254", "rule 5 7 20763", "rule 6 7", "rule 6 -7 20763", "rule 6 7 20763 x", "rule 6  20763"] {
      #expect(PolicyRule(line: line[...]) == nil, "\(line)")
    }
  }

  /// Each rule that a list of the system lacks is made again.
  @Test func missingRules() {
    let rule = PolicyRule(.v4, mark: 20_763, table: 20_763)
    let lines = ["0:\tfrom all lookup local", "32766:\tfrom all lookup main"]
    let own = [
      "32400:\tfrom all lookup main suppress_prefixlength 0", "32401:\tnot from all fwmark 0x511b lookup 20763",
    ]
    func missing(_ lines: [String]) -> [[String]] { rule.missing(in: lines.joined(separator: "\n") + "\n") }
    #expect(missing(lines + own) == [])
    #expect(missing(lines + [own[1]]) == [rule.arguments("add")[0]])
    #expect(missing(lines + [own[0]]) == [rule.arguments("add")[1]])
    #expect(missing(lines) == rule.arguments("add") && missing([]) == rule.arguments("add"))
    // The rules of another tunnel are others.
    #expect(PolicyRule(.v4, mark: 1, table: 20_764).missing(in: own.joined(separator: "\n")).count == 2)
  }

  /// The messages about name servers.
  @Test func nameServers() throws {
    var configuration = TunnelConfiguration()
    #expect(NameServers(configuration) == nil)
    configuration.dns = [try #require(IPAddress("10.0.0.53"))]
    let all = try #require(NameServers(configuration))
    #expect(
      all.resolvectl(device: "d") == [
        ["dns", "d", "10.0.0.53"], ["domain", "d", "~."], ["default-route", "d", "yes"],
      ])
    configuration.search = ["corp.example.org"]
    let some = try #require(NameServers(configuration))
    #expect(
      some.resolvectl(device: "d") == [
        ["dns", "d", "10.0.0.53"], ["domain", "d", "corp.example.org"], ["default-route", "d", "no"],
      ])
    #expect(some.resolvconf == "nameserver 10.0.0.53\nsearch corp.example.org\n")
  }
}

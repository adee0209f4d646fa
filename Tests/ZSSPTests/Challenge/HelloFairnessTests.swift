// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

/// Hosts that spend everything against hosts that say Hello once a second.
@Suite("Fairness of the Hello budget", .tags(.fast))
struct HelloFairnessTests {
  /// The networks of 16 attackers and 20 newcomers.
  enum Placement: String, CaseIterable {
    case networksOfTheirOwn, oneNetworkEach, oneNetworkForAll, ipv6NetworksOfTheirOwn, ipv6HostsOfOneNetwork

    func attacker(_ number: Int) -> Address {
      let number = UInt32(number)
      return switch self {
      case .networksOfTheirOwn: Address(ipv4: 0x0B00_0001 + number << 8, port: 1)
      case .oneNetworkEach, .oneNetworkForAll: Address(ipv4: 0x0B00_0001 + number, port: 1)
      case .ipv6NetworksOfTheirOwn: Address(ipv6: 0x2001_0DB8_0000_0000 + UInt64(number) << 16, 1, port: 1)
      case .ipv6HostsOfOneNetwork: Address(ipv6: 0x2001_0DB8_0000_0000 + UInt64(number), 1, port: 1)
      }
    }

    func newcomer(_ number: Int) -> Address {
      let number = UInt32(number)
      return switch self {
      case .networksOfTheirOwn: Address(ipv4: 0x0C00_0001 + number << 8, port: 1)
      case .oneNetworkEach: Address(ipv4: 0x0C00_0001 + number, port: 1)
      case .oneNetworkForAll: Address(ipv4: 0x0B00_0081 + number, port: 1)
      case .ipv6NetworksOfTheirOwn: Address(ipv6: 0x2001_0DB8_1000_0000 + UInt64(number) << 16, 1, port: 1)
      case .ipv6HostsOfOneNetwork: Address(ipv6: 0x2001_0DB8_1000_0000 + UInt64(number), 1, port: 1)
      }
    }
  }

  /// Attackers say Hello `perSecond` times a second each; newcomers once, spread over the second,
  /// until they are read.
  /// - Returns: how many newcomers were read within `seconds`.
  private func flood(
    _ world: GateWorld, from attackers: [Address], perSecond: Int, against newcomers: [Address], seconds: Int
  ) -> Int {
    var attackers = attackers.map(GateHost.init)
    var waiting = newcomers.map(GateHost.init)
    let turn = Duration.seconds(1) / perSecond
    for tick in 0..<perSecond * seconds {
      world.run(for: turn)
      for index in attackers.indices { attackers[index].sayHello(to: world) }
      for index in waiting.indices where tick % perSecond == (2 * index + 1) * perSecond / (2 * waiting.count) {
        if !world.read.contains(waiting[index].address) { waiting[index].sayHello(to: world) }
      }
    }
    return newcomers.count(where: world.read.contains)
  }

  @Test("16 hosts that solve and repeat 1,000 Hellos a second keep no newcomer out of the default budget for 20 s")
  func repeatedAnswers() {
    let world = GateWorld()
    let placement = Placement.networksOfTheirOwn
    let newcomers = (0..<20).map(placement.newcomer)
    let came = flood(world, from: (0..<16).map(placement.attacker), perSecond: 1_000, against: newcomers, seconds: 20)
    #expect(came >= 19, "\(came) of 20 newcomers")
    // What the budget allows in 20 seconds and its bursts: 50 and 100 items a second.
    #expect(world.read.count <= 150 * 21 && world.read.count > 150 * 19, "\(world.read.count) items of work")
    #expect(world.evicted == 0)
  }

  // [DEC-59]
  @Test(
    "wherever they are, newcomers are read within 3 s", arguments: Placement.allCases,
    [nil, .milliseconds(10)] as [Duration?])
  func placements(_ placement: Placement, cost: Duration?) {
    let world = GateWorld()
    world.cost = cost
    let newcomers = (0..<20).map(placement.newcomer)
    let came = flood(world, from: (0..<16).map(placement.attacker), perSecond: 100, against: newcomers, seconds: 6)
    #expect(came == 20)
    // 300 ms of work a second, and twice that at the beginning; an item that has begun is finished.
    let time = (cost ?? HelloBudget.assumedTime) * world.read.count
    #expect(time <= .milliseconds(300) * 7 + .milliseconds(200), "\(time) of work")
  }

  // [DEC-56]
  @Test("with π1 nobody can be challenged, and sources still take turns")
  func silent() {
    let world = GateWorld(isSilent: true)
    let placement = Placement.networksOfTheirOwn
    let newcomers = (0..<20).map(placement.newcomer)
    #expect(flood(world, from: (0..<16).map(placement.attacker), perSecond: 100, against: newcomers, seconds: 3) == 20)
  }

  // [DEC-57]
  @Test("policy .challenge is fair in the same way")
  func alwaysChallenged() {
    let world = GateWorld(.challenge)
    let placement = Placement.networksOfTheirOwn
    let newcomers = (0..<20).map(placement.newcomer)
    #expect(flood(world, from: (0..<16).map(placement.attacker), perSecond: 100, against: newcomers, seconds: 3) == 20)
    #expect(world.read.count <= 100 * 4)
  }

  /// All but one of the places of their address may be taken by one of them at a time: the others
  /// come in between.
  @Test("clients behind one address all come in beside a flood, in turn")
  func behindOneAddress() {
    let world = GateWorld()
    let clients = (0..<40).map { Address(ipv4: 0x0C00_0001, port: UInt16(1_000 + $0)) }
    let attackers = (0..<16).map(Placement.networksOfTheirOwn.attacker)
    #expect(flood(world, from: attackers, perSecond: 100, against: clients, seconds: 20) == 40)
    let other = GateWorld()
    // Who attacks from behind the same address, from one port, leaves the others the other places.
    let inside = attackers + [Address(ipv4: 0x0C00_0001, port: 1)]
    #expect(flood(other, from: inside, perSecond: 100, against: clients, seconds: 20) == 40)
  }

  // [DEC-51]
  @Test("an attacker cannot bring salts to be rotated before honest answers have come")
  func redeemedAnswersDoNotMakeOthersStale() {
    let world = GateWorld()
    let honest = Address(ipv4: 0x0C00_0001, port: 1)
    let answer = world.answer(from: honest)
    let attackers = (0..<16).map(Placement.networksOfTheirOwn.attacker)
    _ = flood(world, from: attackers, perSecond: 200, against: [], seconds: 10)
    // No more are redeemed than are read, or wait.
    #expect(world.issuer.redeemedCount <= world.read.count + world.gate.waiting)
    // All of the work that 60 s of the default budget pay for, at a hundredth of the assumed time
    // each, leaves the salt alone.
    #expect(HelloBudget().challenged * 60 / (HelloBudget.assumedTime / 10) < Double(ChallengeIssuer.redeemedLimit))
    let isGood = world.issuer.redeem(answer, from: honest, provider: world.provider, at: world.now)
    #expect(isGood)
  }
}

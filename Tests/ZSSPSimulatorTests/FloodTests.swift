// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPSimulator

/// 100,000 strangers say Hello to one peer within 100 seconds, each from a host of its own.
@Suite("A flood of Hellos", .tags(.slow))
struct FloodTests {
  private let strangers = 100_000
  private let perSecond = 1000

  private func hello(_ number: Int, to address: Address, random: inout SimulationRandom) -> Parcel {
    Parcel(
      from: Address(ipv4: 0xD100_0000 + UInt32(number), port: 6666), to: address, bytes: FloodHello.make(&random),
      sender: nil, isForged: true, isMadeUp: true)
  }

  /// Three peers, of which the first is the target, and a fourth that knows nobody yet.
  private func simulation(_ mode: SimulationPlan.Mode) throws -> Simulation {
    var plan = SimulationPlan()
    plan.mode = mode
    plan.peers = 4
    plan.attacksPerSecond = 0
    plan.faults = .none
    let simulation = try Simulation(plan, seed: 0xF100D)
    simulation.links.removeAll { $0.1 == 3 }
    return simulation
  }

  // [DEC-52]
  @Test("established sessions lose nothing, an honest newcomer gets in, and the cost is bounded", .long)
  func flood() throws {
    let simulation = try simulation(.opportunistic)
    let target = simulation.peers[0]
    let watched = try #require(target.endpoint as? ZSSPEndpoint)
    let budget = HelloBudget()
    simulation.beginCalm()
    try simulation.proceed(until: simulation.now.advanced(by: .seconds(30)))
    #expect(simulation.recoveredAt != nil && target.known.count == 2)
    let sessions = target.known.map(\.id)
    let before = (watched.diagnostics, watched.statistics)

    var random = SimulationRandom(seed: 1)
    var newcomerCameAt: Instant?
    var openedAt = simulation.now
    var most = before.0
    for second in 0..<strangers / perSecond {
      for number in 0..<perSecond {
        let arrival = simulation.now.advanced(by: .seconds(1) * number / perSecond)
        simulation.agenda.add(
          .deliver(hello(second * perSecond + number, to: target.address, random: &random)), at: arrival)
      }
      for other in 1...2 {
        simulation.sendMessage(from: target, to: other)
        simulation.sendMessage(from: simulation.peers[other], to: 0)
      }
      if second == 30 {
        openedAt = simulation.now
        simulation.open(simulation.peers[3], to: 0)
      }
      for _ in 0..<10 {
        try simulation.proceed(until: simulation.now.advanced(by: .milliseconds(100)))
        let held = watched.diagnostics
        most = most.larger(held)
        if newcomerCameAt == nil, simulation.peers[3].established(with: 0) != nil { newcomerCameAt = simulation.now }
      }
    }
    try simulation.proceed(until: simulation.now.advanced(by: .seconds(11)))
    let after = (watched.diagnostics, watched.statistics)

    // All datagrams were received, the sessions are the same, and every message has arrived.
    #expect(after.1.datagramsReceived - before.1.datagramsReceived >= UInt64(strangers))
    #expect(Array(target.known.prefix(2)).map(\.id) == sessions)
    for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0)] {
      let flow = simulation.flows[simulation.flow(from: from, to: to)]
      #expect(flow.sent >= 100 && flow.received == flow.sent, "from \(from) to \(to)")
    }
    let cameAt = try #require(newcomerCameAt)
    // It was challenged at once, and admitted with the next resend.
    #expect(openedAt.duration(to: cameAt) < .seconds(2))

    // Work: at most the budget for 100 seconds and its burst, and three items for the newcomer. All
    // other Hellos were challenged.
    let work = Int(after.1.publicKeyWork - before.1.publicKeyWork)
    let limit = Int(budget.unchallenged / HelloBudget.assumedTime) * (strangers / perSecond + 1)
    #expect(work > limit / 2 && work <= limit + 3)
    #expect(after.1[.challenged] - before.1[.challenged] >= UInt64(strangers - limit))

    // Memory: never above the bounds, and afterwards as before, except for the newcomer's session.
    #expect(most.sessions == 3 && most.halfOpen <= Settings().halfOpenLimit && most.incompleteHellos <= 2)
    #expect(most.requests <= most.sessions + most.halfOpen && most.redeemedChallenges <= 1)
    #expect(most.waitingHellos == 0, "there is time for the newcomer at once")
    #expect(most.reassemblyBytes <= 4 * PacketSize.hello)
    #expect(after.0.sessions == before.0.sessions + 1 && after.0.keyIDs == before.0.keyIDs + 1)
    #expect(after.0.halfOpen == 0 && after.0.incompleteHellos == 0 && after.0.reassemblyBytes == 0)
    #expect(after.0.timers == before.0.timers + 1 && after.0.requests == 0)
    print(
      "flood: \(strangers) strangers, \(work) items of work (budget \(limit)), newcomer in after "
        + "\(openedAt.duration(to: cameAt)), at most \(most.halfOpen) half-open")
  }

  /// A flood without a budget costs an item of work for each Hello: the test above would
  /// notice.
  @Test func withoutABudgetEveryHelloIsWork() throws {
    let simulation = try simulation(.opportunistic)
    let target = simulation.peers[0]
    let watched = try #require(target.endpoint as? ZSSPEndpoint)
    watched.helloPolicy = .allow
    var random = SimulationRandom(seed: 1)
    for number in 0..<500 {
      let arrival = simulation.now.advanced(by: .milliseconds(10 * number))
      simulation.agenda.add(.deliver(hello(number, to: target.address, random: &random)), at: arrival)
    }
    try simulation.proceed(until: simulation.now.advanced(by: .seconds(20)))
    #expect(watched.statistics.publicKeyWork == 500 && watched.statistics[.notAuthentic] == 500)
  }
}

extension Diagnostics {
  /// The larger of each.
  fileprivate func larger(_ other: Diagnostics) -> Diagnostics {
    Diagnostics(
      sessions: max(sessions, other.sessions), halfOpen: max(halfOpen, other.halfOpen),
      incompleteHellos: max(incompleteHellos, other.incompleteHellos),
      reassemblyBytes: max(reassemblyBytes, other.reassemblyBytes),
      largestReassembly: max(largestReassembly, other.largestReassembly), keyIDs: max(keyIDs, other.keyIDs),
      timers: max(timers, other.timers), requests: max(requests, other.requests),
      redeemedChallenges: max(redeemedChallenges, other.redeemedChallenges),
      waitingHellos: max(waitingHellos, other.waitingHellos))
  }
}

// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPProviders
import ZSSPSimulator

@Suite("Simulated networks keep the protocol's promises", .tags(.slow))
struct SimulationTests {
  /// One spell of turbulence and one of calm, which sees re-keys.
  private func plan(_ mode: SimulationPlan.Mode, peers: Int = 3) -> SimulationPlan {
    var plan = SimulationPlan()
    plan.mode = mode
    plan.peers = peers
    plan.duration = .seconds(3600)
    plan.turbulence = .seconds(600)
    return plan
  }

  @Test(
    "a fixed set of seeds", arguments: SimulationPlan.Mode.allCases,
    TestSelection.isAll ? [1, 2, 3, 5] : [1] as [UInt64])
  func fixedSeeds(mode: SimulationPlan.Mode, seed: UInt64) throws {
    let report = try Simulation(plan(mode), seed: seed).run()
    #expect(report.recoveries >= 1 && report.rekeys > 0 && report.messagesReceived > 0 && report.attacks > 0)
    #expect(report.agreements > 0)
    #expect(mode != .persistent || report.downgrades == 0)
  }

  @Test("a fleet behind one address, which share a store", .long, arguments: SimulationPlan.Mode.allCases, [2, 3])
  func responders(mode: SimulationPlan.Mode, responders: Int) throws {
    var plan = plan(mode, peers: 2)
    plan.responders = responders
    for seed in 1...3 as ClosedRange<UInt64> {
      let report = try Simulation(plan, seed: seed).run()
      #expect(report.recoveries >= 1 && report.rekeys > 0 && report.messagesReceived > 0)
      #expect(mode != .persistent || report.downgrades == 0)
    }
  }

  @Test(
    "with real cryptography", .long,
    arguments: ProviderChoice.built.filter { (try? $0.makeProvider()) != nil },
    [SimulationPlan.Mode.persistent, .opportunistic])
  func realCryptography(choice: ProviderChoice, mode: SimulationPlan.Mode) throws {
    var plan = plan(mode, peers: 2)
    plan.turbulence = .seconds(120)
    let report = try Simulation(plan, seed: 1, provider: choice.makeProvider()).run()
    #expect(report.recoveries >= 1 && report.rekeys > 0)
  }

  // [TIME-14]
  @Test(.long) func aSeedReplaysExactly() throws {
    let reports = try (0..<2).map { _ in try Simulation(plan(.mixed), seed: 7).run() }
    #expect(reports[0] == reports[1])
    let other = try Simulation(plan(.mixed), seed: 8).run()
    #expect(other != reports[0])
  }

  @Test func aMessageThatIsDeliveredTwiceIsNoticed() throws {
    let simulation = try Simulation(plan(.opportunistic), seed: 1)
    simulation.hooks.deliveries = 2
    #expect(throws: Violation.self) { try simulation.run() }
  }

  @Test func aMessageThatIsAlteredIsNoticed() throws {
    let simulation = try Simulation(plan(.opportunistic), seed: 1)
    simulation.hooks.tamper = { message in if !message.isEmpty { message[0] ^= 1 } }
    #expect(throws: Violation.self) { try simulation.run() }
  }

  @Test func differentKeysOfOneSessionAreNoticed() throws {
    let simulation = try Simulation(plan(.opportunistic), seed: 1)
    simulation.hooks.misread = { $0.statePrefix = 0 }
    let violation = #expect(throws: Violation.self) { try simulation.run() }
    #expect(violation?.invariant == .disagreement)
  }

  /// The policy breaks the silence that π1 promises: strangers are challenged, and so are those who
  /// forge Hellos.
  @Test(.long) func aResponderThatIsNotSilentIsNoticed() throws {
    var plan = plan(.persistent)
    plan.helloPolicy = .challenge
    var details: [String] = []
    for seed in 1...8 as ClosedRange<UInt64> {
      let violation = #expect(throws: Violation.self) { try Simulation(plan, seed: seed).run() }
      #expect(violation?.invariant == .notSilent)
      details.append(violation?.details ?? "")
    }
    #expect(details.contains { $0.hasSuffix("to an attacker") } && details.contains { $0.hasSuffix("to a stranger") })
  }

  @Test func aStoreThatForgetsIsNoticedInPersistentMode() throws {
    let simulation = try Simulation(plan(.persistent), seed: 1)
    simulation.hooks.forgets = { true }
    #expect(throws: Violation.self) { try simulation.run() }
  }
}

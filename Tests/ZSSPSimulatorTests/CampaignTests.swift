// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSimulator

/// Plans and seeds at which the simulator finds faults that there once were, when their fixes are
/// taken back: see `Scripts/mutants.txt`, which names this suite. Without these faults all promises
/// hold.
@Suite("Campaigns of each kind keep the protocol's promises", .tags(.slow), .long)
struct CampaignTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let kind: CampaignKind
    let mode: SimulationPlan.Mode
    let seeds: ClosedRange<UInt64>

    var testDescription: String { "\(kind.rawValue), \(mode.rawValue), seeds \(seeds)" }
  }

  /// Each with what it finds.
  static let cases = [
    // Revocations that repeated Hellos push out.
    Case(kind: .starve, mode: .persistent, seeds: 20...28),
    // A responder that revokes only the first of the two states of a Hello.
    Case(kind: .cross, mode: .persistent, seeds: 1...3),
    // X3 that comes after a session of a later attempt.
    Case(kind: .cross, mode: .opportunistic, seeds: 33...40),
    // Two look-ups that are not one.
    Case(kind: .rekey, mode: .opportunistic, seeds: 6...12),
    // Sessions that are sent to where a Hello was passed on from.
    Case(kind: .relay, mode: .mixed, seeds: 1...2),
    // An acceptance that cannot be cancelled.
    Case(kind: .walk, mode: .opportunistic, seeds: 1...5),
    Case(kind: .any, mode: .mixed, seeds: 1...3),
  ]

  @Test("while one campaign follows another", arguments: cases)
  func promises(of test: Case) throws {
    var plan = SimulationPlan()
    plan.mode = test.mode
    plan.peers = 2
    plan.duration = .seconds(900)
    plan.turbulence = .seconds(600)
    plan.calm = .seconds(300)
    plan.attacksPerSecond = 0
    plan.adversary.campaignsPerHour = 1000
    plan.adversary.kinds = [test.kind]
    var campaigns: UInt64 = 0
    for seed in test.seeds { campaigns += try Simulation(plan, seed: seed).run().campaigns }
    #expect(campaigns >= 3 * UInt64(test.seeds.count))
  }
}

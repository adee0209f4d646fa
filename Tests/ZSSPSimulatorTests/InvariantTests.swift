// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPSimulator

/// Endpoints with a fault each, which the simulator must find.
@Suite("Faults of endpoints are noticed", .tags(.fast))
struct InvariantTests {
  private func plan(_ mode: SimulationPlan.Mode) -> SimulationPlan {
    var plan = SimulationPlan()
    plan.mode = mode
    plan.peers = 2
    plan.duration = .seconds(3600)
    plan.turbulence = .seconds(600)
    return plan
  }

  /// The first violation of a few seeds, with endpoints that `lie` makes.
  private func violation(
    _ plan: SimulationPlan, lie: @escaping (any SimulatedEndpoint) -> any SimulatedEndpoint
  ) throws -> Violation? {
    for seed in 1...10 as ClosedRange<UInt64> {
      let simulation = try Simulation(plan, seed: seed) { (_, environment) throws(ConfigurationError) in
        lie(try ZSSPEndpoint(environment))
      }
      do { _ = try simulation.run() } catch { return error }
    }
    return nil
  }

  @Test("an endpoint that establishes what its application has cancelled")
  func cancelledAccept() throws {
    var plan = plan(.opportunistic)
    plan.faults.cancelledAccept = 0.5
    #expect(try violation(plan) { DeafEndpoint($0) }?.invariant == .cancelledAccept)
  }

  @Test("an endpoint that sends to where a Hello was passed on from")
  func diverted() throws {
    #expect(try violation(plan(.opportunistic)) { DivertedEndpoint($0) }?.invariant == .diverted)
  }

  @Test("an endpoint that reports a downgrade which is none")
  func falseDowngrade() throws {
    #expect(try violation(plan(.opportunistic)) { AlarmedEndpoint($0) }?.invariant == .falseDowngrade)
  }

  @Test("stores without a state in common, in both modes", arguments: [SimulationPlan.Mode.persistent, .opportunistic])
  func noCommonState(mode: SimulationPlan.Mode) throws {
    let simulation = try Simulation(plan(mode), seed: 1)
    var swaps = 0
    // Every fifth swap is confirmed, but not executed.
    simulation.hooks.forgets = {
      swaps += 1
      return swaps.isMultiple(of: 5)
    }
    let violation = #expect(throws: Violation.self) { try simulation.run() }
    #expect(violation?.invariant == .noCommonState)
  }

  @Test("what is left unchecked is not reported")
  func unchecked() throws {
    var plan = plan(.opportunistic)
    plan.duration = .seconds(60)
    plan.turbulence = .seconds(1)
    plan.faults = .none
    plan.adversary = .none
    plan.attacksPerSecond = 0
    plan.unchecked = [.diverted]
    let found = try violation(plan) { DivertedEndpoint($0) }
    #expect(found?.invariant != .diverted)
  }
}

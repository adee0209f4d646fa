// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPReference
import ZSSPSimulator

/// The scenarios of the simulator's own tests, with the reference in the place of some peers, or of
/// all.
@Suite("Simulated networks of both implementations keep the protocol's promises", .tags(.slow), .long)
struct MixedSimulationTests {
  /// The implementation of each peer. Three peers talk to each other, so each of the two mixtures
  /// has pairs of every kind.
  enum Mixture: CaseIterable {
    case zsspFirst, referenceFirst, referenceOnly

    func isReference(_ index: Int) -> Bool {
      switch self {
      case .zsspFirst: !index.isMultiple(of: 2)
      case .referenceFirst: index.isMultiple(of: 2)
      case .referenceOnly: true
      }
    }
  }

  @Test("the fixed set of seeds", arguments: SimulationPlan.Mode.allCases, [1, 2, 3, 5] as [UInt64])
  func fixedSeeds(mode: SimulationPlan.Mode, seed: UInt64) throws {
    var plan = SimulationPlan()
    plan.mode = mode
    plan.peers = 3
    plan.duration = .seconds(3600)
    plan.turbulence = .seconds(600)
    for mixture in Mixture.allCases {
      let simulation = try Simulation(plan, seed: seed) { (index, environment) throws(ConfigurationError) in
        if mixture.isReference(index) { return SimulatedReference(environment) }
        return try ZSSPEndpoint(environment)
      }
      let report = try simulation.run()
      #expect(report.recoveries >= 1 && report.rekeys > 0 && report.messagesReceived > 0, "\(mixture)")
      #expect(mode != .persistent || report.downgrades == 0, "\(mixture)")
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// Runs of one plan with many seeds, several concurrently. Outcomes are reported in the order of
/// the seeds.
public struct SimulationBatch: Sendable {
  /// The outcome of a seed.
  public typealias Outcome = Result<SimulationReport, Violation>

  private let plan: SimulationPlan
  private let seeds: Range<UInt64>
  private let trace: Int
  private let makeProvider: @Sendable () -> any CryptoProvider
  private let onTrace: (@Sendable (String) -> Void)?

  /// Makes a batch that has not started.
  ///
  /// - Parameters:
  ///   - plan: The plan of all runs.
  ///   - seeds: The seeds.
  ///   - trace: The number of last steps that a violation shows. The default is 200.
  ///   - onTrace: Called with each line of a trace of all seeds together; nil, the default, for
  ///     none.
  ///   - makeProvider: Makes the provider of a run.
  public init(
    _ plan: SimulationPlan, seeds: Range<UInt64>, trace: Int = 200, onTrace: (@Sendable (String) -> Void)? = nil,
    makeProvider: @escaping @Sendable () -> any CryptoProvider = { StandInCrypto() }
  ) {
    self.onTrace = onTrace
    self.plan = plan
    self.seeds = seeds
    self.trace = trace
    self.makeProvider = makeProvider
  }

  /// Runs all seeds.
  ///
  /// - Parameters:
  ///   - jobs: The number of concurrent runs, at least 1.
  ///   - each: Called with the outcome of each seed, in the order of the seeds. Returns false to
  ///     stop.
  /// - Throws: The error of `each`, or a `ConfigurationError` if the plan is invalid.
  public nonisolated(nonsending) func run(
    jobs: Int, _ each: (_ seed: UInt64, _ outcome: Outcome) throws -> Bool
  ) async throws {
    try await withThrowingTaskGroup(of: (UInt64, Outcome).self) { group in
      var next = seeds.lowerBound
      var turn = seeds.lowerBound
      var outcomes: [UInt64: Outcome] = [:]
      for _ in 0..<max(1, jobs) where next < seeds.upperBound {
        start(next, in: &group)
        next += 1
      }
      while let (seed, outcome) = try await group.next() {
        outcomes[seed] = outcome
        if next < seeds.upperBound {
          start(next, in: &group)
          next += 1
        }
        while let outcome = outcomes.removeValue(forKey: turn) {
          guard try each(turn, outcome) else { return group.cancelAll() }
          turn += 1
        }
      }
    }
  }

  private func start(_ seed: UInt64, in group: inout ThrowingTaskGroup<(UInt64, Outcome), any Error>) {
    group.addTask {
      let simulation = try Simulation(plan, seed: seed, provider: makeProvider(), traceLimit: trace, onTrace: onTrace)
      return (seed, Result { () throws(Violation) in try simulation.run() })
    }
  }
}

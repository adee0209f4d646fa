// SPDX-License-Identifier: Apache-2.0

/// One measured figure, with what bounds it, taken in the same run.
public struct Figure: Sendable, Codable, Hashable {
  /// Which benchmark it belongs to: crypto, path, handshake, sessions, store.
  public let benchmark: String
  /// What was measured.
  public let name: String
  /// The median of the rounds.
  public let value: Double
  /// The smallest and the largest of the rounds.
  public let range: [Double]
  /// The unit of `value`.
  public let unit: String
  /// What bounds the figure.
  public let bound: String?
  /// The bound, in the same unit.
  public let boundValue: Double?
  /// How much of the bound is reached, 1 being all: for times the bound divided by the value, for rates the other way.
  public let ratio: Double?

  /// The figure of some rounds.
  package init(
    _ benchmark: String, _ name: String, _ rounds: [Double], _ unit: String, bound: (String, [Double])? = nil,
    higherIsBetter: Bool = false
  ) {
    (self.benchmark, self.name, self.unit) = (benchmark, name, unit)
    value = rounds.median
    range = [rounds.min() ?? 0, rounds.max() ?? 0]
    self.bound = bound?.0
    boundValue = bound?.1.median
    // Round by round, so that a machine whose speed drifts does not spoil the ratio.
    ratio = bound.map { bound in
      zip(rounds, bound.1).map { higherIsBetter ? $0 / $1 : $1 / $0 }.median
    }
  }
}

extension [Double] {
  /// The median; 0 of nothing.
  package var median: Double {
    guard !isEmpty else { return 0 }
    let sorted = sorted()
    let middle = count / 2
    return count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
}

/// How much is measured.
public struct BenchmarkEffort: Sendable {
  /// How often each thing is measured; the median counts.
  public var rounds = 5
  /// How long one measurement takes at least.
  public var duration = Duration.milliseconds(200)
  /// How many sessions the benchmark of sessions makes.
  public var sessions = 100_000

  /// The defaults.
  public init() {}

  /// Nanoseconds for one of what `body` does `count` times per call, after a call that is not counted.
  func nanoseconds(per count: Int, _ body: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    try body()
    var calls = 0
    let start = clock.now
    var elapsed = Duration.zero
    while elapsed < duration {
      try body()
      calls += 1
      elapsed = clock.now - start
    }
    return elapsed / .nanoseconds(1) / Double(calls * count)
  }
}

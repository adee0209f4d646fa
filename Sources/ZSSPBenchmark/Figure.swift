// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPNIO

/// One measured figure, with what bounds it, taken in the same run.
public struct Figure: Sendable, Codable, Hashable {
  /// Which benchmark it belongs to: crypto, path, handshake and so on.
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
  /// How much processor time one measurement takes at least.
  public var duration = Duration.milliseconds(200)
  /// Sizes of the messages of the benchmark of the path, in bytes.
  public var sizes = [64, 1400, 60_000]
  /// What these may be: the largest fits into 48 datagrams of 1500 bytes.
  public static let allowedSizes = 0...71_216
  /// How many sessions the benchmark of sessions makes.
  public var sessions = 100_000
  /// ``Settings/expandedKeys`` of the endpoint that has them; nil for what is usual for the provider.
  public var keptKeys: Int?

  /// The defaults.
  public init() {}

  /// Nanoseconds of processor time for one of what `body` does `count` times per call, after a call that is not counted.
  func nanoseconds(per count: Int, _ body: () throws -> Void) rethrows -> Double {
    try body()
    // To ask for the time takes about as long as a few packets, so it is asked seldom.
    var calls = 1
    while true {
      let start = ThreadClock.now
      for _ in 0..<calls { try body() }
      let elapsed = ThreadClock.now - start
      if elapsed >= duration { return elapsed / .nanoseconds(1) / Double(calls * count) }
      let missing = elapsed > .zero ? duration / elapsed : 16
      calls = Int(Double(calls) * min(16, max(1.5, 1.2 * missing))) + 1
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPNIO

/// A measured figure, with an optional bound that was measured in the same run.
public struct Figure: Sendable, Codable, Hashable {
  /// The benchmark: crypto, path, handshake and so on.
  public let benchmark: String
  /// The measured quantity.
  public let name: String
  /// The median of the rounds.
  public let value: Double
  /// The smallest and the largest of the rounds, in this order.
  public let range: [Double]
  /// The unit of `value`.
  public let unit: String
  /// The name of the bound.
  public let bound: String?
  /// The value of the bound, in the same unit.
  public let boundValue: Double?
  /// The reached fraction of the bound, 1 for all of it. For times it is the bound divided by the
  /// value, for rates the value divided by the bound.
  public let ratio: Double?

  /// Makes the figure of several rounds.
  package init(
    _ benchmark: String, name: String, rounds: [Double], unit: String, bound: (String, [Double])? = nil,
    higherIsBetter: Bool = false
  ) {
    self.benchmark = benchmark
    self.name = name
    self.unit = unit
    value = rounds.median
    range = [rounds.min() ?? 0, rounds.max() ?? 0]
    self.bound = bound?.0
    boundValue = bound?.1.median
    // The ratio is computed per round, so that a drift of the machine's speed does not distort it.
    ratio = bound.map { bound in
      zip(rounds, bound.1).map { higherIsBetter ? $0 / $1 : $1 / $0 }.median
    }
  }
}

extension [Double] {
  /// The median; 0 for an empty array.
  package var median: Double {
    guard !isEmpty else { return 0 }
    let sorted = sorted()
    let middle = count / 2
    return count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
}

/// The extent of the measurements.
public struct BenchmarkEffort: Sendable {
  /// The number of measurements of each quantity, 5 by default. The median counts.
  public var rounds = 5
  /// The minimum processor time of one measurement, 200 ms by default.
  public var duration = Duration.milliseconds(200)
  /// The message sizes of the benchmark `path`, in bytes.
  public var sizes = [64, 1400, 60_000]
  /// The allowed message sizes. The largest fits into 48 datagrams of 1500 bytes.
  public static let allowedSizes = 0...71_216
  /// The number of sessions in the benchmark `sessions`, 100,000 by default.
  public var sessions = 100_000
  /// The endpoint's ``Settings/expandedKeys``; nil for the provider's default.
  public var keptKeys: Int?

  /// Makes the default effort.
  public init() {}

  /// Returns the nanoseconds of processor time for one of `count` operations per call of `body`.
  /// The first call is not measured.
  func nanoseconds(per count: Int, _ body: () throws -> Void) rethrows -> Double {
    try body()
    // Reading the clock takes about as long as a few packets, so it is done rarely.
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

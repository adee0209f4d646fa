// SPDX-License-Identifier: Apache-2.0

/// A histogram of durations, with the same bounds everywhere.
public struct LatencyHistogram: Sendable, Hashable {
  /// The upper bounds of the buckets, in ascending order: 100 µs to 30 s.
  public static let bounds: [Duration] = [
    .microseconds(100), .microseconds(250), .microseconds(500),
    .milliseconds(1), .microseconds(2500), .milliseconds(5),
    .milliseconds(10), .milliseconds(25), .milliseconds(50),
    .milliseconds(100), .milliseconds(250), .milliseconds(500),
    .seconds(1), .milliseconds(2500), .seconds(5), .seconds(10), .seconds(30),
  ]

  /// The number of durations in each bucket: greater than the bound before, and at most the
  /// bucket's own. One more element than ``bounds``: the last is for durations above all bounds.
  public private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
  /// The sum of all durations.
  public private(set) var sum = Duration.zero

  /// Makes an empty histogram.
  public init() {}

  /// The number of durations.
  public var count: UInt64 { counts.reduce(0, +) }

  /// Adds a duration. A negative one counts as zero.
  public mutating func record(_ duration: Duration) {
    let duration = max(.zero, duration)
    counts[Self.bounds.firstIndex { duration <= $0 } ?? Self.bounds.count] += 1
    sum += duration
  }

  /// Returns the histogram of the durations of both.
  func adding(_ other: LatencyHistogram) -> LatencyHistogram {
    var result = self
    for (index, count) in other.counts.enumerated() { result.counts[index] += count }
    result.sum += other.sum
    return result
  }
}

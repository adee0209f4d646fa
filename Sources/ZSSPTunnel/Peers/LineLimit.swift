// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Bounds the lines that strangers can cause: some in a minute, and then how many there would have been.
struct LineLimit {
  static let lines = 10
  static let period = Duration.seconds(60)

  private var begin: Instant?
  private var count = 0

  /// Records a cause for a line.
  ///
  /// - Returns: whether it is to be written, and how many were not in the period before this one.
  mutating func allows(at now: Instant) -> (isAllowed: Bool, omitted: Int) {
    var omitted = 0
    if begin.map({ $0.duration(to: now) >= Self.period }) ?? true {
      omitted = max(0, count - Self.lines)
      begin = now
      count = 0
    }
    count += 1
    return (count <= Self.lines, omitted)
  }
}

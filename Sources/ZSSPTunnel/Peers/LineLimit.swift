// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Limits the log lines that strangers can cause, and counts the omitted ones.
struct LineLimit {
  static let lines = 10
  static let period = Duration.seconds(60)

  private var begin: Instant?
  private var count = 0

  /// Records an event that would be logged.
  ///
  /// - Returns: True if it must be logged, and the number of lines that were omitted in the
  ///   previous period.
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

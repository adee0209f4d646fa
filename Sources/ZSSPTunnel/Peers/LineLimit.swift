// SPDX-License-Identifier: Apache-2.0

/// Bounds the lines that strangers can cause: some in a minute, and then how many there would have been.
struct LineLimit {
  static let lines = 10
  static let period = 60 * TunnelClock.second

  private var begin: Int64?
  private var count = 0

  /// Somebody causes a line.
  ///
  /// - Returns: whether it is to be written, and how many were not in the time before this one.
  mutating func allows(at now: Int64) -> (isAllowed: Bool, omitted: Int) {
    var omitted = 0
    if begin.map({ now - $0 >= Self.period }) ?? true {
      omitted = max(0, count - Self.lines)
      (begin, count) = (now, 0)
    }
    count += 1
    return (count <= Self.lines, omitted)
  }
}

// SPDX-License-Identifier: Apache-2.0

extension Duration {
  /// The whole nanoseconds, at most `Int64.max`.
  var inNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return overflows ? .max : product &+ attoseconds / 1_000_000_000
  }
}

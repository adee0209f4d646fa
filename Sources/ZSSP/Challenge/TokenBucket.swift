// SPDX-License-Identifier: Apache-2.0

/// Admits a few events at once, and one more in every interval (the generic cell rate algorithm).
/// It takes eight bytes.
struct TokenBucket: Sendable {
  /// The number of tokens in a full bucket, and the time to refill one.
  struct Rate: Sendable {
    private let refill: Int64
    /// The largest time until the bucket is full while a token is left.
    fileprivate let tolerance: Int64

    init(burst: Int, refill: Duration) {
      self.refill = refill.nanoseconds
      let (product, overflow) = self.refill.multipliedReportingOverflow(by: Int64(burst - 1))
      tolerance = overflow ? .max : product
    }

    /// Creates a rate of `perSecond` events per second, at least 1, with bursts of one second's
    /// worth.
    init(perSecond: Int) { self.init(burst: perSecond, refill: .nanoseconds(1_000_000_000 / Int64(perSecond))) }

    fileprivate var interval: Duration { .nanoseconds(refill) }
  }

  /// The time when the bucket is full again.
  private var full = Instant(nanoseconds: .min)

  /// Returns true if a token is left.
  func hasToken(_ rate: Rate, at now: Instant) -> Bool { full <= now.advanced(by: .nanoseconds(rate.tolerance)) }

  /// Takes a token, if one is left.
  ///
  /// - Returns: true if it took one.
  @discardableResult
  mutating func take(_ rate: Rate, at now: Instant) -> Bool {
    guard hasToken(rate, at: now) else { return false }
    full = max(full, now).advanced(by: rate.interval)
    return true
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Lets a few events through at once, and one more in every interval (the generic cell rate
/// algorithm). It takes eight bytes.
struct TokenBucket: Sendable {
  /// How many tokens a full bucket holds, and how long it takes to refill one.
  struct Rate: Sendable {
    private let refill: Int64
    /// How far in the future the bucket may be full if there is a token.
    fileprivate let tolerance: Int64

    init(burst: Int, refill: Duration) {
      self.refill = refill.nanoseconds
      let (product, overflow) = self.refill.multipliedReportingOverflow(by: Int64(burst - 1))
      tolerance = overflow ? .max : product
    }

    /// So many per second, and up to a second's worth at once. At least 1.
    init(perSecond: Int) { self.init(burst: perSecond, refill: .nanoseconds(1_000_000_000 / Int64(perSecond))) }

    fileprivate var interval: Duration { .nanoseconds(refill) }
  }

  /// When the bucket is full again.
  private var full = Instant(nanoseconds: .min)

  /// Whether there is a token.
  func hasToken(_ rate: Rate, at now: Instant) -> Bool { full <= now.advanced(by: .nanoseconds(rate.tolerance)) }

  /// Takes a token, if there is one.
  /// - Returns: whether there was.
  @discardableResult
  mutating func take(_ rate: Rate, at now: Instant) -> Bool {
    guard hasToken(rate, at: now) else { return false }
    full = max(full, now).advanced(by: rate.interval)
    return true
  }
}

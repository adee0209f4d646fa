// SPDX-License-Identifier: Apache-2.0

/// A limit of processor time per second, with bursts of up to one second's worth.
///
/// Work is charged with ``HelloBudget/assumedTime`` when it begins, and with the difference when
/// its real time is known.
struct TimeBudget: Sendable {
  // [DEC-55]
  /// The time for which unused time is kept.
  private static let burst = Duration.seconds(1)
  /// The longest time that overlong work closes the budget beyond a burst, so that a slow machine
  /// still does some work.
  private static let largestDebt = Duration.seconds(1)
  /// The largest time that is charged for one item.
  private static let longestItem = Duration.seconds(1)

  /// The time when the budget will be whole again.
  private var full = Instant(nanoseconds: .min)

  /// Returns when one more item fits; nil if none ever does.
  func admission(_ share: Duration) -> Instant? {
    guard share.nanoseconds > 0 else { return nil }
    return full.advanced(by: .zero - max(.zero, Self.burst - Self.period(of: HelloBudget.assumedTime, share: share)))
  }

  /// Returns true if one more item fits.
  func admits(_ share: Duration, at now: Instant) -> Bool { admission(share).map { $0 <= now } ?? false }

  /// Charges for work; a negative time is a refund.
  mutating func charge(_ time: Duration, share: Duration, at now: Instant) {
    guard share.nanoseconds > 0 else { return }
    let period = Self.period(of: min(max(time, .zero - Self.longestItem), Self.longestItem), share: share)
    full = (time < .zero ? full : max(full, now)).advanced(by: period)
    let limit = max(Self.burst, Self.period(of: HelloBudget.assumedTime, share: share)) + Self.largestDebt
    full = min(full, now.advanced(by: limit))
  }

  /// Refunds a charge for work that is not done.
  mutating func refund(_ time: Duration, share: Duration) {
    guard share.nanoseconds > 0 else { return }
    full = full.advanced(by: .zero - Self.period(of: min(time, Self.longestItem), share: share))
  }

  /// Returns how long the share takes to supply `time`, which is at most one second.
  private static func period(of time: Duration, share: Duration) -> Duration {
    .nanoseconds(time.nanoseconds * 1_000_000_000 / share.nanoseconds)
  }
}

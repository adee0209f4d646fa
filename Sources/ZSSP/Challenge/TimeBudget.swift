// SPDX-License-Identifier: Apache-2.0

/// A limit of processor time per second, in bursts of up to a second's worth.
///
/// Work is charged with ``HelloBudget/assumedTime`` when it begins, and with the difference when
/// its time is known.
struct TimeBudget: Sendable {
  // [DEC-55]
  /// Unused time is kept for this long.
  private static let burst = Duration.seconds(1)
  /// The most that overlong work closes the budget beyond a burst, so that a slow machine still
  /// does some work.
  private static let largestDebt = Duration.seconds(1)
  /// The time that an item counts as at most.
  private static let longestItem = Duration.seconds(1)

  /// When the budget would be whole again.
  private var full = Instant(nanoseconds: .min)

  /// Returns when one more item fits; nil if none ever does.
  func admission(_ share: Duration) -> Instant? {
    guard share.nanoseconds > 0 else { return nil }
    return full.advanced(by: .zero - max(.zero, Self.burst - Self.period(of: HelloBudget.assumedTime, share)))
  }

  /// Returns whether one more item fits.
  func admits(_ share: Duration, at now: Instant) -> Bool { admission(share).map { $0 <= now } ?? false }

  /// Charges for work; a negative time is a refund.
  mutating func charge(_ time: Duration, _ share: Duration, at now: Instant) {
    guard share.nanoseconds > 0 else { return }
    let period = Self.period(of: min(max(time, .zero - Self.longestItem), Self.longestItem), share)
    full = (time < .zero ? full : max(full, now)).advanced(by: period)
    let limit = max(Self.burst, Self.period(of: HelloBudget.assumedTime, share)) + Self.largestDebt
    full = min(full, now.advanced(by: limit))
  }

  /// Takes back a charge for work that is not done.
  mutating func refund(_ time: Duration, _ share: Duration) {
    guard share.nanoseconds > 0 else { return }
    full = full.advanced(by: .zero - Self.period(of: min(time, Self.longestItem), share))
  }

  /// Returns how long the share takes to bring in `time`, which is a second at most.
  private static func period(of time: Duration, _ share: Duration) -> Duration {
    .nanoseconds(time.nanoseconds * 1_000_000_000 / share.nanoseconds)
  }
}

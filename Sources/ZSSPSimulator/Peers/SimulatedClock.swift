// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A peer's clock. It starts anywhere, is a little fast or slow, and sometimes leaps forward.
struct SimulatedClock: Sendable {
  private var trueBase: Instant
  private var base: Instant
  /// Local nanoseconds per million true ones.
  private let rate: Int128

  init(at now: Instant, showing time: Instant, skew: Int) {
    trueBase = now
    base = time
    rate = Int128(1_000_000 + skew)
  }

  /// Returns the clock's time at a true time.
  func time(at now: Instant) -> Instant {
    let elapsed = Int128(now.nanoseconds - trueBase.nanoseconds) * rate / 1_000_000
    return Instant(nanoseconds: base.nanoseconds + Int64(elapsed))
  }

  /// Returns the first true time at which the clock shows `time` or later, but not before `now`.
  func trueTime(of time: Instant, notBefore now: Instant) -> Instant {
    guard time < .distantFuture else { return .distantFuture }
    let elapsed = Int128(time.nanoseconds) - Int128(base.nanoseconds)
    let exact = Int128(trueBase.nanoseconds) + (elapsed * 1_000_000 + rate - 1) / rate
    return max(now, Instant(nanoseconds: Int64(clamping: exact)))
  }

  mutating func leap(_ duration: Duration, at now: Instant) {
    base = time(at: now).advanced(by: duration)
    trueBase = now
  }
}

// SPDX-License-Identifier: Apache-2.0

/// What a responder asks of a Hello before it does any public-key work (section 8).
public enum HelloPolicy: Sendable, Hashable {
  /// Every Hello is read.
  case allow
  /// A Hello must prove that its sender owns its address, and has worked. With π1 this breaks silence.
  case challenge
  /// No Hello is read.
  case drop
  /// Hellos are read while the budget lasts, and challenged beyond it; with π1, dropped beyond it. The default.
  case automatic(HelloBudget = HelloBudget())
}

/// How many Hellos per second are read under ``HelloPolicy/automatic(_:)``. Each costs one P-384 agreement, and, if it
/// is genuine, two more and an encapsulation.
public struct HelloBudget: Sendable, Hashable {
  /// Hellos per second that are read without a challenge.
  public var unchallenged = 50
  /// Hellos per second that are read after a challenge, beside the others.
  public var challenged = 100
  /// Hellos per second from one host, of either kind: beyond it, unchallenged ones are challenged and challenged ones
  /// dropped.
  public var perSource = 25

  /// The default budget.
  public init() {}

  /// Each budget may be used up at once, for up to a second's worth.
  static let burst: Duration = .seconds(1)
}

/// Lets through so many events per second, in bursts of up to a second's worth (the generic cell rate algorithm).
struct RateLimiter: Sendable {
  /// When the budget would be whole again.
  private var full = Instant(nanoseconds: .min)

  /// Whether one more event fits.
  func admits(_ perSecond: Int, at now: Instant) -> Bool {
    guard perSecond > 0 else { return false }
    return max(full, now) <= now.advanced(by: HelloBudget.burst - Self.interval(perSecond))
  }

  /// Counts an event.
  mutating func count(_ perSecond: Int, at now: Instant) {
    guard perSecond > 0 else { return }
    full = max(full, now).advanced(by: Self.interval(perSecond))
  }

  private static func interval(_ perSecond: Int) -> Duration { .nanoseconds(1_000_000_000 / Int64(perSecond)) }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The pauses between attempts to reach a peer that does not answer. They double up to two minutes,
/// and are random in part, so that attempts to reach many peers that were lost at once do not stay
/// synchronised.
struct Backoff {
  /// The first pause after an attempt.
  static let first = Duration.seconds(2)
  /// The longest pause.
  static let longest = Duration.seconds(120)
  /// The random part of a pause, in percent.
  static let jitter = 25
  /// The number of failures after which one pause is random as a whole. Peers that were lost at the
  /// same moment are then looked for at different moments, and not all within a part of two
  /// minutes.
  static let spreading = 6

  /// The duration of one attempt to open a session: a little longer than one handshake, so that its
  /// end has a reason.
  private static let attempt = Duration.milliseconds(10_500)
  /// The duration of an attempt if the peer has other addresses to try, or has not answered several
  /// times.
  private static let shortAttempt = Duration.seconds(4)

  /// Returns the duration of an attempt. A handshake costs public-key work, so a peer that is away
  /// for long gets shorter attempts, and now and then one of full length, to learn the reason.
  ///
  /// - Parameters:
  ///   - failures: The number of failed attempts since the last session.
  ///   - places: The number of the peer's addresses.
  static func patience(failures: Int, places: Int) -> Duration {
    places > 1 || failures > 1 && !failures.isMultiple(of: 8) ? shortAttempt : attempt
  }

  /// The number of failed attempts since the last session.
  private(set) var failures = 0
  /// The time of the next permitted attempt; nil for now.
  private var next: Instant?

  /// Returns true if an attempt may begin.
  func isDue(at now: Instant) -> Bool { next.map { now >= $0 } ?? true }

  /// Records that an attempt failed.
  ///
  /// - Parameters:
  ///   - now: The time when the attempt ended.
  ///   - random: A number from 0 to 99 that shortens the pause.
  mutating func failed(at now: Instant, random: Int = Int.random(in: 0..<100)) {
    let doublings = min(failures, 10)
    let pause = min(Self.first * (1 << doublings), Self.longest)
    let jitter = failures == Self.spreading ? 100 : Self.jitter
    failures += 1
    next = now.advanced(by: pause - pause * (jitter * random) / 10_000)
  }

  /// Permits an attempt at once, because the peer answered, or there is another reason to try.
  mutating func restart() {
    failures = 0
    next = nil
  }
}

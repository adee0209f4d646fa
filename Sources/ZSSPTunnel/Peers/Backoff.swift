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
    failures += 1
    next = now.advanced(by: pause - pause * (Self.jitter * random) / 10_000)
  }

  /// Permits an attempt at once, because the peer answered, or there is another reason to try.
  mutating func restart() {
    failures = 0
    next = nil
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The parameters that vary between runs, by seed: how slow the machines are, and how patient the
/// applications.
struct Temper: Sendable {
  /// The factor for the plan's probability of slow public-key work, and the maximum delay.
  let slowWork: (factor: Double, most: Duration)
  /// The probability of a slow acceptance, and the maximum delay.
  let slowAccept: (chance: Double, most: Duration)
  /// The time limits of attempts to open a session.
  let attemptLimit: ClosedRange<Duration>
  /// The pause before another attempt.
  let pause: ClosedRange<Duration>
  /// The silence after which sessions probe their peers, and end; nil for never.
  let silence: (keepAlive: Duration, idleTimeout: Duration)?

  /// Draws the parameters of a seed.
  init(seed: UInt64) {
    var random = SimulationRandom(seed: seed, stream: 6)
    slowWork = [(1, .seconds(6)), (6, .seconds(3)), (14, .milliseconds(1500))][random.below(3)]
    slowAccept = [(0.05, .seconds(12)), (0.3, .seconds(5)), (0.7, .milliseconds(2500))][random.below(3)]
    attemptLimit =
      [
        .milliseconds(200) ... .seconds(3), .milliseconds(800) ... .seconds(10), .seconds(5) ... .seconds(60),
      ][random.below(3)]
    pause = [.zero ... .milliseconds(500), .zero ... .seconds(10)][random.below(2)]
    silence = [nil, nil, nil, (.seconds(40), .seconds(120)), (.seconds(300), .seconds(1000))][random.below(5)]
  }

  /// Returns the settings of all endpoints of the run.
  func settings(_ usual: Settings) -> Settings {
    var settings = usual
    settings.keepAlive = usual.keepAlive ?? silence?.keepAlive
    settings.idleTimeout = usual.idleTimeout ?? silence?.idleTimeout
    return settings
  }
}

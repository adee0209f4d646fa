// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Decides when a peer is probed, and when it gets a new session. A peer that restarted knows
/// nothing of the session, and is silent: a peer that gets packets and sends none is probed, and
/// one that does not answer gets a new session.
///
/// An idle tunnel is silent: without packets for it, a peer is not probed. A keepalive is a probe,
/// and counts as sent.
struct Liveness {
  /// The time of unanswered packets after which the peer is probed.
  static let probeAfter = Duration.seconds(1)
  /// The time of unanswered packets after which another session is opened.
  static let deadAfter = Duration.seconds(5)
  /// The maximum age of the measured round-trip time while there is traffic.
  static let measureAfter = Duration.seconds(10)

  /// The time without an answer to a probe after which the peer counts as silent. Probes are a
  /// second apart, so two are unanswered. Packets alone say nothing: many need no answer.
  static let silentAfter = Duration.seconds(2)

  /// The action to take now.
  enum Action: Equatable {
    case nothing
    case probe
    case newSession
  }

  /// The time of the last sent message; nil for never.
  private(set) var lastSent: Instant?
  /// The time of the first packet sent since something was last received; nil if none was.
  private(set) var unansweredSince: Instant?
  private var lastProbe: Instant?
  /// The time of the first probe since something was last received; nil if none was sent.
  private var probedSince: Instant?

  /// Records that packets were sent.
  mutating func sent(at now: Instant) {
    lastSent = now
    if unansweredSince == nil { unansweredSince = now }
  }

  /// Returns true if the peer has not answered probes for a while.
  func isSilent(at now: Instant, lastReceived: Instant?) -> Bool {
    guard isProbeUnanswered(lastReceived: lastReceived), let probedSince else { return false }
    return probedSince.duration(to: now) >= Self.silentAfter
  }

  /// Returns true if a probe was sent, and nothing has been received since.
  func isProbeUnanswered(lastReceived: Instant?) -> Bool {
    probedSince.map { !Self.isAnswered($0, by: lastReceived) } ?? false
  }

  /// Starts again with a new session.
  mutating func restart() {
    unansweredSince = nil
    lastProbe = nil
    probedSince = nil
  }

  /// Returns what to do. Must be called once a second.
  mutating func check(at now: Instant, lastReceived: Instant?, keepalive: Duration?) -> Action {
    if !isProbeUnanswered(lastReceived: lastReceived) { probedSince = nil }
    if let since = unansweredSince, Self.isAnswered(since, by: lastReceived) {
      unansweredSince = nil
      if Self.isDue(lastProbe, after: Self.measureAfter, at: now) { return probe(now) }
    }
    if let unansweredSince {
      let silence = unansweredSince.duration(to: now)
      if silence >= Self.deadAfter { return .newSession }
      if silence >= Self.probeAfter {
        awaitAnswer(since: now)
        return probe(now)
      }
    }
    if let keepalive, Self.isDue(lastSent, after: keepalive, at: now) {
      // A peer that restarted does not answer this probe, and so its silence is detected.
      sent(at: now)
      lastProbe = now
      awaitAnswer(since: now)
      return .probe
    }
    return .nothing
  }

  /// Records a probe outside of the schedule.
  mutating func probed(at now: Instant, lastReceived: Instant?) {
    if !isProbeUnanswered(lastReceived: lastReceived) { probedSince = nil }
    lastProbe = now
    sent(at: now)
    awaitAnswer(since: now)
  }

  private mutating func awaitAnswer(since now: Instant) {
    if probedSince == nil { probedSince = now }
  }

  private mutating func probe(_ now: Instant) -> Action {
    lastProbe = now
    lastSent = now
    return .probe
  }

  private static func isAnswered(_ since: Instant, by lastReceived: Instant?) -> Bool {
    lastReceived.map { $0 >= since } ?? false
  }

  private static func isDue(_ last: Instant?, after pause: Duration, at now: Instant) -> Bool {
    last.map { $0.duration(to: now) >= pause } ?? true
  }
}

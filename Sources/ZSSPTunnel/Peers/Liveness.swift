// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// When a peer is probed, and when it is given a new session. A peer that was started again, and knows nothing of the session, is
/// silent: one that gets packets and sends none is probed, and one that does not answer is given a new session.
///
/// An idle tunnel is silent: a peer that was sent nothing is not probed. A keepalive is a probe, and counts as sent.
struct Liveness {
  /// How long packets go unanswered before the peer is probed.
  static let probeAfter = Duration.seconds(1)
  /// How long packets go unanswered before another session is opened.
  static let deadAfter = Duration.seconds(5)
  /// How old the measured latency may be while there is traffic.
  static let measureAfter = Duration.seconds(10)

  /// What is to be done now.
  enum Action: Equatable {
    case nothing
    case probe
    case newSession
  }

  /// When the last message was sent; nil for never.
  private(set) var lastSent: Instant?
  /// When the first packet was sent since something came last; nil if none was.
  private(set) var unansweredSince: Instant?
  private var lastProbe: Instant?

  /// Records that packets are sent.
  mutating func sent(at now: Instant) {
    lastSent = now
    if unansweredSince == nil { unansweredSince = now }
  }

  /// Returns whether packets for the peer go unanswered.
  func isSilent(lastReceived: Instant?) -> Bool {
    unansweredSince.map { !Self.isAnswered($0, by: lastReceived) } ?? false
  }

  /// Begins with a new session.
  mutating func restart() {
    unansweredSince = nil
    lastProbe = nil
  }

  /// Returns what to do. To be called once a second.
  mutating func check(at now: Instant, lastReceived: Instant?, keepalive: Duration?) -> Action {
    if let since = unansweredSince, Self.isAnswered(since, by: lastReceived) {
      unansweredSince = nil
      if Self.isDue(lastProbe, after: Self.measureAfter, at: now) { return probe(now) }
    }
    if let unansweredSince {
      let silence = unansweredSince.duration(to: now)
      if silence >= Self.deadAfter { return .newSession }
      if silence >= Self.probeAfter { return probe(now) }
    }
    if let keepalive, Self.isDue(lastSent, after: keepalive, at: now) {
      // A peer that was started again knows nothing of the session, and is found out by its silence.
      sent(at: now)
      lastProbe = now
      return .probe
    }
    return .nothing
  }

  /// Records a probe out of turn, because somebody wants to know whether the peer is there.
  mutating func probed(at now: Instant) {
    lastProbe = now
    sent(at: now)
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

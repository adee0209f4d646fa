// SPDX-License-Identifier: Apache-2.0

/// Whether a peer is still there. The protocol has no message for the end of a session, so that a peer which was started again, and knows
/// nothing of it, is silent. A peer that gets packets and sends none is asked, and one that does not answer is given a new session.
///
/// An idle tunnel is silent: nobody is asked who was sent nothing. What keeps a way open counts as sent.
struct Liveness {
  /// Packets without an answer for so long make a question…
  static let questionAfter = TunnelClock.second
  /// …and for so long, another session.
  static let deadAfter = 5 * TunnelClock.second
  /// How old the measured latency may be while there is traffic.
  static let measureAfter = 10 * TunnelClock.second

  /// What is to be done now.
  enum Action: Equatable {
    case nothing
    case keepalive
    case question
    case newSession
  }

  /// When the last message was sent; 0 for never.
  private(set) var lastSent: Int64 = 0
  /// When the first packet was sent since something came last; 0 if there was none.
  private(set) var unansweredSince: Int64 = 0
  private var lastQuestion: Int64 = 0

  /// Packets are sent.
  mutating func sent(at now: Int64) {
    lastSent = now
    if unansweredSince == 0 { unansweredSince = now }
  }

  /// Whether somebody waits for the peer in vain.
  func isSilent(lastReceived: Int64) -> Bool { unansweredSince != 0 && lastReceived < unansweredSince }

  /// There is a new session.
  mutating func restart() { (unansweredSince, lastQuestion) = (0, 0) }

  /// To be called once a second.
  mutating func check(at now: Int64, lastReceived: Int64, keepalive: Int?) -> Action {
    if unansweredSince != 0, lastReceived >= unansweredSince {
      unansweredSince = 0
      if now - lastQuestion >= Self.measureAfter { return ask(now) }
    }
    if unansweredSince != 0 {
      let silence = now - unansweredSince
      if silence >= Self.deadAfter { return .newSession }
      if silence >= Self.questionAfter { return ask(now) }
    }
    if let keepalive, now - lastSent >= Int64(keepalive) * TunnelClock.second {
      // A peer that was started again knows nothing of the session, and is found out by its silence.
      sent(at: now)
      return .keepalive
    }
    return .nothing
  }

  private mutating func ask(_ now: Int64) -> Action {
    (lastQuestion, lastSent) = (now, now)
    return .question
  }
}

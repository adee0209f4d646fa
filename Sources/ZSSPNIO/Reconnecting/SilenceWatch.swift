// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Detects a peer that no longer answers, sooner than ``UDPOptions/idleTimeout``, while something
/// is being sent to it.
///
/// | nothing authentic came since a check found messages sent, for | then |
/// |---|---|
/// | half a second, and at each further check | the peer is probed |
/// | ``ReconnectOptions/silenceLimit`` | it is gone |
///
/// A packet from before that check is no answer: it may have been sent before the messages. Many probes
/// go out before a peer counts as gone, so a path that loses packets does not end sessions.
///
/// A session on which nothing is sent is covered by ``UDPOptions/keepAlive`` and
/// ``UDPOptions/idleTimeout``.
struct SilenceWatch {
  /// The result of one check.
  enum Verdict {
    case isThere
    case probe
    case isGone
  }

  /// The interval between two checks.
  static let interval = Duration.milliseconds(250)
  /// The time that an answer may take before the peer is probed.
  private static let patience = Duration.milliseconds(500)

  private let limit: Duration
  /// The number of messages sent at the last check.
  private var sent: UInt64 = 0
  /// The time of the check that found messages sent; nil if they were answered since.
  private var unansweredSince: Instant?

  init(limit: Duration) { self.limit = limit }

  /// Checks a session. Must be called once every ``interval``.
  mutating func look(at session: SessionDescription, now: Instant) -> Verdict {
    if let since = unansweredSince, let heard = session.lastReceived, heard >= since { unansweredSince = nil }
    if session.statistics.messagesSent > sent {
      sent = session.statistics.messagesSent
      if unansweredSince == nil { unansweredSince = now }
    }
    guard let since = unansweredSince else { return .isThere }
    let silence = since.duration(to: now)
    if silence >= limit { return .isGone }
    return silence >= min(Self.patience, limit) ? .probe : .isThere
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Detects a peer that no longer answers, sooner than ``UDPOptions/idleTimeout``, while something
/// is being sent to it.
///
/// | nothing authentic came since a message was sent, for | then |
/// |---|---|
/// | a second, and each further one | the peer is probed |
/// | ``ReconnectOptions/silenceLimit`` | it is gone |
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
  static let interval = Duration.seconds(1)

  private let limit: Duration
  /// The number of messages sent at the last check.
  private var sent: UInt64 = 0
  /// The time since which messages have had no answer; nil if none.
  private var unansweredSince: Instant?

  init(limit: Duration) { self.limit = limit }

  /// Checks a session. Must be called once every ``interval``.
  mutating func look(at session: SessionDescription, now: Instant) -> Verdict {
    if session.statistics.messagesSent > sent {
      sent = session.statistics.messagesSent
      if unansweredSince == nil { unansweredSince = now.advanced(by: .zero - Self.interval) }
    }
    guard let since = unansweredSince else { return .isThere }
    if let heard = session.lastReceived, heard >= since {
      unansweredSince = nil
      return .isThere
    }
    return since.duration(to: now) >= limit ? .isGone : .probe
  }
}

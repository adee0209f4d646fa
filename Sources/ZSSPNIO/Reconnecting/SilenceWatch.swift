// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Finds out that the peer of a session does not answer any more, sooner than ``UDPOptions/idleTimeout``, while something is being sent
/// to it: then somebody waits.
///
/// | nothing authentic came since a message was sent, for | then |
/// |---|---|
/// | a second, and each further one | the peer is probed |
/// | ``ReconnectOptions/silenceLimit`` | it is gone |
///
/// A session on which nothing is sent is left to ``UDPOptions/keepAlive``.
struct SilenceWatch {
  /// What a look at the session leads to.
  enum Verdict {
    case isThere
    case probe
    case isGone
  }

  /// The time between two looks.
  static let interval = Duration.seconds(1)

  private let limit: Duration
  /// How many messages were sent when the session was looked at last.
  private var sent: UInt64 = 0
  /// When the first message was seen that nothing has answered; nil if there is none.
  private var unansweredSince: Instant?

  init(limit: Duration) { self.limit = limit }

  /// Looks at a session. To be called once every ``interval``.
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

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Detects a peer that no longer answers, sooner than ``UDPOptions/idleTimeout``.
///
/// An answer is awaited from the check on that finds messages sent, or nothing received for
/// ``ReconnectOptions/idleProbe``.
///
/// | nothing authentic came since that check, for | then |
/// |---|---|
/// | no time, if nothing was sent | the peer is probed |
/// | a second, and at each further check | the peer is probed |
/// | ``ReconnectOptions/silenceLimit``, and most of its probes were sent | it is gone |
///
/// What came before that check is no answer: it may have been sent before the messages. Many probes
/// go out before a peer counts as gone, so a path that loses packets does not end sessions, and
/// neither does a process that stands still for a while.
struct SilenceWatch {
  /// The result of one check.
  enum Verdict {
    case isThere
    case probe
    case isGone
  }

  /// The interval between two checks.
  static let interval = Duration.milliseconds(150)
  /// The time that an answer may take before the peer is probed.
  private static let patience = Duration.seconds(1)

  private let limit: Duration
  private let idleProbe: Duration?
  /// The number of messages sent at the last check.
  private var sent: UInt64 = 0
  /// The time of the check since which an answer is awaited; nil if none is.
  private var unansweredSince: Instant?
  /// The number of probes since then.
  private var probes = 0

  init(limit: Duration, idleProbe: Duration?) {
    self.limit = limit
    self.idleProbe = idleProbe
  }

  /// Checks a session. Must be called once every ``interval``.
  mutating func look(at session: SessionDescription, now: Instant) -> Verdict {
    if let since = unansweredSince, let heard = session.lastReceived, heard >= since {
      unansweredSince = nil
      probes = 0
    }
    if session.statistics.messagesSent > sent {
      sent = session.statistics.messagesSent
      if unansweredSince == nil { unansweredSince = now }
    }
    guard let since = unansweredSince else {
      guard let idleProbe, let heard = session.lastReceived, heard.duration(to: now) >= idleProbe else {
        return .isThere
      }
      unansweredSince = now
      probes = 1
      return .probe
    }
    let silence = since.duration(to: now)
    if silence >= limit, probes >= leastProbes { return .isGone }
    guard silence >= min(Self.patience, limit) else { return .isThere }
    probes += 1
    return .probe
  }

  /// Two thirds of the probes that fit into the limit, at least one.
  private var leastProbes: Int {
    // A very long limit could overflow an integer.
    max(1, Int(((min(limit, .seconds(86_400)) - Self.patience) / Self.interval * 2 / 3).rounded()))
  }
}

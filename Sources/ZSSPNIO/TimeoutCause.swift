// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The cause of a ``UDPError/timeout(_:)``, as far as this side observed it. Of several addresses
/// and attempts, the one that came closest to a session counts.
public enum TimeoutCause: Sendable, Hashable {
  /// The name was not resolved in time.
  case notResolved
  /// Nothing came back. The address or port is wrong, a firewall drops the datagrams, the peer is
  /// down, or it stays silent because the key, the profile or the ratchet does not match.
  case noAnswer
  /// The network reported an error: no route, or no such port. The text is the system's. Anyone on
  /// the path can forge such a report.
  case networkRefused(String)
  /// The responder asked for a proof of work and did not answer the Hello with it. It is flooded,
  /// or cannot read the Hello because its key or profile is another one.
  case challenged
  /// An answer came back that is not authentic: the peer has another profile or key, or a ratchet
  /// that does not match.
  case notAuthentic
  /// The responder proved its key, but did not confirm the session. Its application has not
  /// accepted it (nothing reads ``UDPEndpoint/incoming`` or calls
  /// ``IncomingSession/accept(flags:)``), it refused silently, or its store failed.
  case notConfirmed
  /// Another session of this side's key with the peer changed the ratchet state first.
  case ratchetConflict

  init(_ restart: RestartReason) {
    switch restart {
    case .timeout: self = .noAnswer
    case .notAuthentic: self = .notAuthentic
    case .notConfirmed: self = .notConfirmed
    case .ratchetConflict: self = .ratchetConflict
    }
  }

  /// The rank of the cause. A higher one is closer to a session.
  private var progress: Int {
    switch self {
    case .notResolved: 0
    case .noAnswer: 1
    case .networkRefused: 2
    case .challenged: 3
    case .notAuthentic: 4
    case .notConfirmed: 5
    case .ratchetConflict: 6
    }
  }

  /// Returns the cause that is closer to a session; the later one if they are equal.
  func combined(with later: TimeoutCause) -> TimeoutCause { later.progress >= progress ? later : self }
}

extension TimeoutCause: CustomStringConvertible {
  /// The cause as text. ``likelyCauses`` has the probable reasons.
  public var description: String {
    switch self {
    case .notResolved: "the name was not resolved"
    case .noAnswer: "the peer does not answer"
    case .networkRefused(let text): "the network refuses: \(text)"
    case .challenged: "the peer asks for a proof of work, and does not answer then"
    case .notAuthentic: "the answers are not authentic"
    case .notConfirmed: "the peer answered and did not confirm the session"
    case .ratchetConflict: "another session with the same peer changed the ratchet state first"
    }
  }

  /// The most probable causes as text, the most probable first.
  public var likelyCauses: [String] { Diagnosis(self).causes.map(\.text) }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// What was seen of the peer before ``UDPError/timeout(_:)``. Of several addresses and attempts it is what came closest
/// to a session.
public enum TimeoutCause: Sendable, Hashable {
  /// The name was not resolved in time.
  case notResolved
  /// Nothing came back: a wrong address or port, a firewall, a peer that is down, or one that is silent because the key,
  /// the profile or the ratchet does not fit.
  case noAnswer
  /// Nothing came back but an answer of the network: no route, no such port. The text is the system's. Anybody on the
  /// path can forge such an answer.
  case networkRefused(String)
  /// Something came back as the peer's answer and is not authentic: another profile, another key at that address, or a
  /// ratchet that does not fit.
  case notAuthentic
  /// The responder proved its key, and did not confirm the session: its application has not accepted it (nothing reads
  /// ``UDPEndpoint/incoming`` or calls ``IncomingSession/accept(flags:)``), it refused in silence, or its store failed.
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

  /// How close this came to a session.
  private var progress: Int {
    switch self {
    case .notResolved: 0
    case .noAnswer: 1
    case .networkRefused: 2
    case .notAuthentic: 3
    case .notConfirmed: 4
    case .ratchetConflict: 5
    }
  }

  /// The one of two that came closer to a session; the later of two alike.
  func combined(with later: TimeoutCause) -> TimeoutCause { later.progress >= progress ? later : self }
}

extension TimeoutCause: CustomStringConvertible {
  /// What was seen, in words. ``likelyCauses`` says why that may be.
  public var description: String {
    switch self {
    case .notResolved: "the name was not resolved"
    case .noAnswer: "the peer does not answer"
    case .networkRefused(let text): "the network refuses: \(text)"
    case .notAuthentic: "the answers are not authentic"
    case .notConfirmed: "the peer answered and did not confirm the session"
    case .ratchetConflict: "another session with the same peer changed the ratchet state first"
    }
  }

  /// The most likely causes, each in words, the likeliest first.
  public var likelyCauses: [String] {
    switch self {
    case .notResolved: ["the name server is slow or cannot be reached"]
    case .noAnswer:
      [
        "a wrong address or port, or a firewall in between",
        "the peer's public key or profile is another one, so that it cannot read the Hello",
        "the peer is in persistent mode, and has another ratchet or none for this side's key",
      ]
    case .networkRefused:
      ["nothing listens at this address and port, or there is no route to it", "a firewall rejects the datagrams"]
    case .notAuthentic:
      ["the peer has another profile", "the ratchets of both sides do not fit: one was lost or restored"]
    case .notConfirmed:
      [
        "the peer's application has not accepted: nothing waits for handshakes there",
        "the peer refuses this side's key in silence",
        "the peer's ratchet store fails",
      ]
    case .ratchetConflict: ["two processes use the same key and store at once"]
    }
  }
}

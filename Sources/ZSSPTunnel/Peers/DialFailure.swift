// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPNIO

/// The reason why a session with a peer could not be opened, as far as this side knows.
struct DialFailure: Error, Equatable {
  /// The kind of a failure. Each kind is logged once.
  enum Kind: Sendable, Hashable {
    case noAddress
    case noAnswer
    case notAuthentic
    case refused
    case ratchet
    case other
  }

  /// The knowledge of this side about the peer, in addition to the error.
  struct Knowledge: Sendable {
    /// True if this side requires its ratchet (π2).
    var insists: Bool
    /// True if a ratchet, or a one-time password, is stored for the peer.
    var holdsRatchet: Bool
  }

  let kind: Kind
  /// The problem, and what to check.
  let text: String

  private init(_ kind: Kind, _ text: String) {
    self.kind = kind
    self.text = text
  }

  /// The advice for reconnecting two peers whose ratchets do not match.
  static let remedy = "'zssp tunnel peer enroll' on both sides, with a new one-time password, begins anew"

  /// Returns the failure of a peer without an address.
  static func noAddress(_ reason: String) -> DialFailure { DialFailure(.noAddress, reason) }

  /// Returns the failure of a peer without the ratchet that this side holds.
  static func lostRatchet(chainLength: UInt64) -> DialFailure {
    DialFailure(
      .ratchet,
      "it does not have the ratchet that this side holds for it (length \(chainLength)): its store was lost, or "
        + "someone else has its key; \(remedy)")
  }

  /// Explains an error.
  ///
  /// - Parameters:
  ///   - error: The error.
  ///   - place: The peer's address, as text.
  ///   - knowledge: What this side knows about the peer.
  init(_ error: UDPError, at place: String, knowledge: Knowledge) {
    switch error {
    case .timeout(let cause): self = Self.noSession(cause, at: place, knowledge: knowledge)
    case .rejected:
      self.init(
        .refused, "\(place) refused this side's key: give this side's public key to the peer, as one of its [[peer]]")
    case .invalidAddress, .unreachable: self.init(.noAddress, "\(error)")
    case .sessionEnded(.ratchetConflict), .handshakeFailed(.ratchetConflict):
      self.init(.ratchet, "the ratchet changed meanwhile; it is tried again")
    default: self.init(.other, "\(place): \(error)")
    }
  }

  private static func noSession(
    _ cause: TimeoutCause, at place: String, knowledge: Knowledge
  ) -> DialFailure {
    switch cause {
    case .notResolved: return DialFailure(.noAddress, "\(place): \(cause)")
    case .networkRefused, .challenged: return DialFailure(.noAnswer, "no answer from \(place): \(cause)")
    case .noAnswer:
      let start = "no answer from \(place): it is off, a firewall drops UDP, or public-key is not its key"
      guard knowledge.insists, knowledge.holdsRatchet else { return DialFailure(.noAnswer, start) }
      return DialFailure(
        .noAnswer,
        start + "; or its store was lost or restored from an older copy, so that it does not know this side's "
          + "ratchet: then \(remedy)")
    case .notAuthentic:
      let start = "\(place) answers, but not as the holder of public-key: it has another key, or another profile"
      guard knowledge.holdsRatchet else { return DialFailure(.notAuthentic, start) }
      return DialFailure(
        .notAuthentic,
        start + "; or one of the two stores was restored from an older copy: then \(remedy)")
    case .notConfirmed:
      return DialFailure(
        .refused,
        "\(place) answers, and does not confirm: it does not have this side's public key as one of its [[peer]], or "
          + "cannot write its store")
    case .ratchetConflict:
      return DialFailure(.ratchet, "another session with the peer changed the ratchet first; it is tried again")
    }
  }
}

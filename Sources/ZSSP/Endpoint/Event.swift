// SPDX-License-Identifier: Apache-2.0

/// Names a session for its life. Never used twice by one endpoint.
public struct SessionID: Hashable, Sendable {
  let index: UInt32
  let generation: UInt32
}

/// What happened, in order. Messages are not events: ``Endpoint/receive(_:from:at:)`` returns them.
public enum Event: Sendable {
  /// A session can carry data. For the initiator the peer has confirmed the key; for the responder the peer was
  /// accepted, and data may be sent, though the peer's confirmation is still to come.
  case established(SessionID, Establishment)
  /// The peer of a session that this side accepted has confirmed the key.
  case confirmed(SessionID)
  /// The handshake started anew, with new keys. The session keeps its id.
  case restarted(SessionID, RestartReason)
  /// A handshake went on with the empty ratchet state although this side held another. Either the peer lost its store,
  /// or someone who holds the peer's static key poses as the peer.
  case downgraded(SessionID, peer: PublicKey, heldChainLength: UInt64)
  /// Both sides have a new key.
  case rekeyed(SessionID, chainLength: UInt64)
  /// The peer of a confirmed session has answered a probe. The time that it took is nil where there were several: nobody knows which
  /// of them it answers. See ``Settings/keepAlive`` and ``Endpoint/probe(_:at:)``.
  case answered(SessionID, roundTrip: Duration?)
  /// The peer is now at another address.
  case moved(SessionID, from: Address, to: Address)
  /// The session is gone.
  case ended(SessionID, EndReason)
  /// A handshake for which an ``AcceptRequest`` was made ended without a session: it was refused, it took too long, or
  /// the store failed. An answer that comes after this is late.
  case withdrawn(RequestID, DropReason)
}

/// What is known of a session when it is established.
public struct Establishment: Sendable, Hashable {
  /// The peer's static key, proved.
  public let peer: PublicKey
  /// The side that this endpoint was on.
  public let role: Role
  /// What the initiator said of itself.
  public let identity: [UInt8]
  /// Where the peer is.
  public let address: Address
  /// How many handshakes the ratchet has behind it, this one included.
  public let chainLength: UInt64
  /// Nil if the ratchet is as it should be. Else the handshake went on with the empty state although this side held
  /// one of this chain length: see ``Event/downgraded(_:peer:heldChainLength:)``.
  public let downgradedFrom: UInt64?
  /// The responder's ``AcceptRequest`` that led to the session; nil for the initiator.
  public let acceptance: RequestID?
}

/// Why a handshake started anew.
public enum RestartReason: String, Sendable, Hashable {
  /// There was no answer in time.
  case timeout
  /// What was to be the answer is not authentic: another profile, another key, a ratchet that does not fit.
  case notAuthentic
  /// The responder accepted, and the confirmation is overdue.
  case notConfirmed
  /// Another session instance of this peer changed the ratchet state first.
  case ratchetConflict
}

/// Why a session ended.
public enum EndReason: String, Sendable, Hashable {
  /// This side closed it.
  case closed
  /// The peer closed it.
  case closedByPeer
  /// Nothing came of the peer for ``Settings/idleTimeout``.
  case peerSilent
  /// The responder's application refused this peer.
  case rejected
  /// The peer did not confirm a new key in time.
  case notConfirmed
  /// The peer did not answer a re-key in time.
  case rekeyTimeout
  /// What should have been the peer's part of a re-key was not.
  case rekeyNotAuthentic
  /// The key was used as often as it may be.
  case keyExhausted
  /// Another session instance of this peer changed the ratchet state first.
  case ratchetConflict
  /// A newer session with the same peer took its place.
  case replaced
}

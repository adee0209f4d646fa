// SPDX-License-Identifier: Apache-2.0

/// The name of a session for its lifetime. An endpoint never uses one twice.
public struct SessionID: Hashable, Sendable {
  let index: UInt32
  let generation: UInt32
}

/// An event of an endpoint. Events are in order. Messages are not events:
/// ``Endpoint/receive(_:from:at:)`` returns them.
public enum Event: Sendable {
  /// A session can carry data. For the initiator, the peer has confirmed the key. For the
  /// responder, the application has accepted the peer; data may be sent, although the peer has not
  /// confirmed yet.
  case established(SessionID, Establishment)
  /// The peer of a session that this side accepted has confirmed the key.
  case confirmed(SessionID)
  /// The handshake restarted with new keys. The session keeps its id.
  case restarted(SessionID, RestartReason)
  /// A handshake continued with the empty ratchet state although this side held another one. Either
  /// the peer lost its store, or an attacker with the peer's static key impersonates it.
  case downgraded(SessionID, peer: PublicKey, heldChainLength: UInt64)
  /// Both sides have a new key.
  case rekeyed(SessionID, chainLength: UInt64)
  /// The peer of a confirmed session has answered a probe. The round-trip time is nil if several
  /// probes were sent, because the answer does not say which one it belongs to. See
  /// ``Settings/keepAlive`` and ``Endpoint/probe(_:at:)``.
  case answered(SessionID, roundTrip: Duration?)
  /// The peer's address has changed.
  case moved(SessionID, from: Address, to: Address)
  /// The session has ended.
  case ended(SessionID, EndReason)
  /// A handshake for which an ``AcceptRequest`` was made ended without a session: it was refused,
  /// it took too long, or the store failed. An answer to the request is ignored after this.
  case withdrawn(RequestID, DropReason)
}

/// The properties of a session when it is established.
public struct Establishment: Sendable, Hashable {
  /// The peer's static key. The peer has proved that it has the private key.
  public let peer: PublicKey
  /// The role of this endpoint.
  public let role: Role
  /// The initiator's description of itself.
  public let identity: [UInt8]
  /// The peer's address.
  public let address: Address
  /// The number of handshakes in the ratchet chain, including this one.
  public let chainLength: UInt64
  /// Nil if the handshake used the expected ratchet state. Otherwise it continued with the empty
  /// state although this side held one of this chain length: see
  /// ``Event/downgraded(_:peer:heldChainLength:)``.
  public let downgradedFrom: UInt64?
  /// The responder's ``AcceptRequest`` that led to the session; nil for the initiator.
  public let acceptance: RequestID?
}

/// The reason why a handshake restarted.
public enum RestartReason: String, Sendable, Hashable {
  /// No answer arrived in time.
  case timeout
  /// The answer was not authentic: another profile, another key, or a different ratchet state.
  case notAuthentic
  /// The responder accepted, but its confirmation did not arrive in time.
  case notConfirmed
  /// Another session with this peer changed the ratchet state first.
  case ratchetConflict
}

/// The reason why a session ended.
public enum EndReason: String, Sendable, Hashable {
  /// This side closed it.
  case closed
  /// The peer closed it.
  case closedByPeer
  /// Nothing was received from the peer for ``Settings/idleTimeout``, or the transport found that
  /// it does not answer.
  case peerSilent
  /// The responder's application refused this peer.
  case rejected
  /// The peer did not confirm a new key in time.
  case notConfirmed
  /// The peer did not answer a re-key in time.
  case rekeyTimeout
  /// The peer's part of a re-key was not authentic.
  case rekeyNotAuthentic
  /// The key reached its limit of uses.
  case keyExhausted
  /// Another session with this peer changed the ratchet state first.
  case ratchetConflict
  /// A newer session with the same peer replaced it.
  case replaced
}

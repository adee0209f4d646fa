// SPDX-License-Identifier: Apache-2.0
public import ZSSP

// Sections 10, 11 and 13: the configuration of a peer, its questions and its events.

extension ReferencePeer {
  // [PROF-2]
  /// Section 13: "Both ends are configured with the same profile."
  public enum Profile: String, Sendable, CaseIterable {
    // [PROF-1] [PROF-4]
    /// Kyber1024 round 3, and Noise KK as written.
    case kyber1024
    // [PROF-5]
    /// Kyber1024 and the upstream variant of `se`.
    case upstream
    // [PROF-6]
    /// ML-KEM-1024 (FIPS 203).
    case mlkem1024

    var kem: KEM { self == .mlkem1024 ? .mlkem1024 : .kyber1024 }
    // [PROF-3]
    var xkName: String {
      "Noise_XKhfs+psk2_P384+\(self == .mlkem1024 ? "MLKEM1024" : "Kyber1024")_AESGCM_SHA512"
    }
  }

  /// The flags of section 10. None set is opportunistic mode, all set is persistent mode.
  public struct Flags: Sendable, Hashable {
    // [MODE-1]
    /// π1: "Bob is silent to Hellos without a known fingerprint." For the whole peer.
    public var helloRequiresRatchet = false
    // [MODE-2]
    /// π2: "Alice never falls back to the empty ratchet."
    public var initiatorDisallowsDowngrade = false
    // [MODE-3]
    /// π3: "Bob never lets a known peer come back without its ratchet."
    public var responderDisallowsDowngrade = false
    // [MODE-4]
    /// π4: "no D packet."
    public var responderSilentlyRejects = false

    // [MODE-6]
    /// Creates flags of which none is set.
    public init() {}

    // [MODE-5]
    /// Flags of which all are set.
    public static let persistent: Flags = {
      var flags = Flags()
      flags.helloRequiresRatchet = true
      flags.initiatorDisallowsDowngrade = true
      flags.responderDisallowsDowngrade = true
      flags.responderSilentlyRejects = true
      return flags
    }()
  }

  // [CHAL-13]
  /// Section 8: "Policy per Hello: allow, challenge, drop". Section 14 adds the budget.
  public enum HelloPolicy: Sendable {
    /// All Hellos are read.
    case allow
    /// All Hellos are challenged.
    case challenge
    /// Every Hello is dropped.
    case drop
    /// Hellos are read within the budget of section 14.
    case automatic
  }

  // [TIME-13]
  /// Section 11: "All durations are settings with these defaults"; and the bounds of section 5.
  public struct Settings: Sendable {
    // [FRAG-4]
    /// M of section 5, at least 128.
    public var mtu = 1400
    // [DEC-85]
    /// M for everything but data, if it is smaller.
    package var handshakeMTU = 1200
    // [TIME-1]
    /// "Resends every 1 s."
    public var resendInterval = Duration.seconds(1)
    /// The timeout of A1, B2 and A3.
    public var handshakeTimeout = Duration.seconds(10)
    /// The timeout of S1, R1 and R2.
    public var rekeyTimeout = Duration.seconds(60)
    /// The timeout of S2, before a random part is subtracted.
    public var rekeyAfter = Duration.seconds(3600)
    /// The largest random part of ``rekeyAfter``.
    public var rekeyJitter = Duration.seconds(600)
    // [DEC-39]
    /// The time for which the previous key is accepted (section 14).
    public var previousKeyLifetime = Duration.seconds(60)
    // [DEC-34]
    /// The number of re-keys that the peer can begin at once (section 14).
    public var rekeyBurst = 8
    /// The time after which one more is allowed, at most half of ``rekeyAfter`` and of
    /// ``rekeyTimeout``.
    public var rekeyRefill = Duration.seconds(10)
    // [DEC-83]
    /// The silence after which C1 is sent (section 14); nil for never.
    public var keepAlive: Duration?
    /// The silence after which the session ends, longer than ``keepAlive``; nil for never.
    public var idleTimeout: Duration?
    // [DEC-4]
    /// The number of X2 or X3 that are read in one handshake (section 14).
    public var bodiesPerHandshake = 4
    // [FRAG-16]
    /// "Incomplete packets expire after 5 s."
    public var reassemblyTimeout = Duration.seconds(5)
    // [CTR-11]
    /// Section 4: "At 2^30 uses in state S2 a re-key starts at once."
    public var rekeyUses: UInt64 = 1 << 30
    // [CTR-10]
    /// Section 4: "A key MUST NOT encrypt more than 2^32 − 1 packets."
    public var keyUseLimit: UInt64 = (1 << 32) - 1
    // [DEC-24]
    /// "Half-open handshakes are 2048 at most by default."
    public var halfOpenLimit = 2048
    // [FRAG-9]
    /// "32 packets": incomplete Hellos.
    public var helloLimit = 32
    /// "1024 fragments" of incomplete Hellos.
    public var helloFragmentLimit = 1024
    // [FRAG-13]
    /// "64 slots" for the packets of a session.
    public var reassemblySlots = 64

    /// Creates the default settings.
    public init() {}
  }

  /// The question for the application on X3 (section 6): "to accept (S_A, identity, what he knows
  /// of the fingerprint)".
  public struct Question: Sendable {
    /// S_A, which the peer has proved to own.
    public let peer: PublicKey
    /// Alice's description of herself.
    public let identity: [UInt8]
    /// The source of X3.
    public let address: Address
    /// The peer for which the store has the ratchet state in use; nil if that is the empty one.
    public let ratchetPeer: PublicKey?
  }

  /// The application's answer to a ``Question``.
  public enum Answer: Sendable {
    // [MODE-7]
    /// The peer is accepted, under these flags.
    case accept(Flags)
    /// The peer is refused, and gets D unless `silently` (π4).
    case reject(silently: Bool)
  }

  /// The result of receiving a datagram.
  public enum ReceiveResult: Sendable, Equatable {
    /// The datagram completed a message.
    case message(session: Int, [UInt8])
    /// The datagram was accepted.
    case handled
    /// The datagram changed nothing.
    case dropped(Drop)
  }

  /// The reason why a datagram was dropped.
  public enum Drop: Error, Sendable, Equatable {
    /// A size or a header that the protocol never produces.
    case malformed
    /// No session or handshake has the key id.
    case unknownKeyID
    /// The header is not expected in this state.
    case unexpected
    /// The replay window refuses the counter.
    case replayed
    /// The fragment was received before.
    case duplicateFragment
    /// A newer packet has the slot.
    case noRoom
    /// A tag, a point or a nonce is wrong.
    case notAuthentic
    /// π1 demands silence.
    case unknownRatchet
    /// The Hello policy demands an answer to a challenge.
    case challenged
    /// The Hello policy does not admit the Hello.
    case overBudget
    /// A challenge that answers no Hello of this peer, or that was received before.
    case unexpectedChallenge
    /// The peer is not accepted.
    case refused
    /// The store failed.
    case storeFailed
    /// Another attempt with the same peer continues.
    case superseded
    /// A previous request is still open.
    case busy
    /// A K1 or K2 beyond the limit of section 14.
    case rekeyTooSoon
  }

  /// An event of a peer.
  public enum Event: Sendable, Hashable {
    /// Data can be sent.
    case established(session: Int, Establishment)
    /// Bob only: Alice has answered C1.
    case confirmed(session: Int)
    /// Alice only: the handshake restarted.
    case restarted(session: Int, Restart)
    /// The handshake continued with the empty ratchet state although this side held another.
    case downgraded(session: Int, peer: PublicKey, heldChainLength: UInt64)
    /// Both sides have a new key.
    case rekeyed(session: Int, chainLength: UInt64)
    /// C2 answered a C1 in S2.
    case answered(session: Int, roundTrip: Duration?)
    /// The peer's address has changed.
    case moved(session: Int, from: Address, to: Address)
    /// The session has ended: ⊥.
    case ended(session: Int, End)
    /// A peer whose acceptance was asked for got no session.
    case withdrawn(PublicKey)
  }

  /// The properties of a session when it is established.
  public struct Establishment: Sendable, Hashable {
    /// The peer's static key.
    public let peer: PublicKey
    /// True if this side was Alice.
    public let isInitiator: Bool
    /// Alice's description of herself.
    public let identity: [UInt8]
    /// The peer's address.
    public let address: Address
    /// The chain length of the ratchet state that the handshake has led to.
    public let chainLength: UInt64
    /// The chain length of the ratchet state that this side held, if the handshake continued with
    /// the empty one instead.
    public let downgradedFrom: UInt64?
  }

  /// The reason why a handshake restarted.
  public enum Restart: String, Sendable {
    /// A1 has timed out.
    case timeout
    /// X2 did not authenticate.
    case notAuthentic
    /// A3 has timed out.
    case notConfirmed
    /// A compare-and-swap has failed.
    case ratchetConflict
  }

  /// The reason why a session ended.
  public enum End: String, Sendable {
    /// The application closed it.
    case closed
    /// D came in A3.
    case rejected
    /// D came later.
    case closedByPeer
    /// Nothing was received for too long.
    case peerSilent
    /// S1 has timed out.
    case notConfirmed
    /// R1 or R2 has timed out.
    case rekeyTimeout
    /// The Noise part of K1 or K2 did not authenticate.
    case rekeyNotAuthentic
    /// The key reached its limit of uses.
    case keyExhausted
    /// A compare-and-swap has failed.
    case ratchetConflict
    /// A newer session with the same peer replaced it.
    case replaced
  }

  /// The reason why the peer refused a call of the application.
  public enum Refusal: Error, Sendable, Equatable {
    /// The peer's key is not a point of the curve.
    case invalidPeerKey
    /// The identity is longer than 4096 bytes, or the message longer than section 5 allows.
    case tooLong
    /// The session does not exist, or cannot send yet.
    case noSession
    /// The session has just ended, because its key reached its limit of uses.
    case keyExhausted
  }
}

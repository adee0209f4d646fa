// SPDX-License-Identifier: Apache-2.0
public import ZSSP

// Sections 10, 11 and 13: what a peer can be told; and what it tells.

extension ReferencePeer {
  // [PROF-2]
  /// Section 13: "Both ends are configured with the same profile."
  public enum Profile: String, Sendable, CaseIterable {
    // [PROF-1] [PROF-4]
    /// Kyber1024 round 3, and Noise KK as written.
    case kyber1024
    // [PROF-5]
    /// The same with the upstream variant of `se`.
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

  /// Section 10. None set is opportunistic mode, all set persistent mode.
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
    /// None set.
    public init() {}

    // [MODE-5]
    /// All set.
    public static let persistent: Flags = {
      var flags = Flags()
      (flags.helloRequiresRatchet, flags.initiatorDisallowsDowngrade) = (true, true)
      (flags.responderDisallowsDowngrade, flags.responderSilentlyRejects) = (true, true)
      return flags
    }()
  }

  // [CHAL-13]
  /// Section 8: "Policy per Hello: allow, challenge, drop"; and section 14: by budget.
  public enum HelloPolicy: Sendable {
    /// All are read.
    case allow
    /// All are challenged.
    case challenge
    /// None is read.
    case drop
    /// As the budget of section 14 has it.
    case automatic
  }

  // [TIME-13]
  /// Section 11: "All durations are settings with these defaults"; and the bounds of section 5.
  public struct Settings: Sendable {
    // [FRAG-4]
    /// M of section 5, at least 128.
    public var mtu = 1400
    // [DEC-85]
    /// M for everything but data, if it is less.
    package var handshakeMTU = 1200
    // [TIME-1]
    /// "Resends every 1 s."
    public var resendInterval = Duration.seconds(1)
    /// The timeout of A1, B2 and A3.
    public var handshakeTimeout = Duration.seconds(10)
    /// The timeout of S1, R1 and R2.
    public var rekeyTimeout = Duration.seconds(60)
    /// The timeout of S2, and how much of it is random.
    public var rekeyAfter = Duration.seconds(3600)
    /// Up to so much is taken off ``rekeyAfter``.
    public var rekeyJitter = Duration.seconds(600)
    // [DEC-39]
    /// Section 14: how long the previous key is held.
    public var previousKeyLifetime = Duration.seconds(60)
    // [DEC-34]
    /// Section 14: re-keys that the peer can begin at once, and how long one more takes.
    public var rekeyBurst = 8
    /// No longer than half of ``rekeyAfter``, or of ``rekeyTimeout``.
    public var rekeyRefill = Duration.seconds(10)
    // [DEC-83]
    /// Section 14: after how much silence C1 asks, and the session ends; nil for never.
    public var keepAlive: Duration?
    /// The same: longer than ``keepAlive``.
    public var idleTimeout: Duration?
    // [DEC-4]
    /// Section 14: how many X2 or X3 are read in one handshake.
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

    /// The defaults.
    public init() {}
  }

  /// What an application is asked on X3 (section 6): "to accept (S_A, identity, what he knows of the fingerprint)".
  public struct Question: Sendable {
    /// S_A, proved.
    public let peer: PublicKey
    /// What Alice says of herself.
    public let identity: [UInt8]
    /// Where X3 came from.
    public let address: Address
    /// For whom the store keeps the ratchet state in use; nil if that is the empty one.
    public let ratchetPeer: PublicKey?
  }

  /// The answer.
  public enum Answer: Sendable {
    // [MODE-7]
    /// The peer is taken, under these flags.
    case accept(Flags)
    /// It is not, and is told so unless `silently` (π4).
    case reject(silently: Bool)
  }

  /// What became of a datagram.
  public enum Reception: Sendable, Equatable {
    /// A message came out of it.
    case message(session: Int, [UInt8])
    /// It was good.
    case handled
    /// It changed nothing.
    case dropped(Drop)
  }

  /// Why a datagram was dropped.
  public enum Drop: Error, Sendable, Equatable {
    /// A size or a header that cannot be.
    case malformed
    /// Nobody here has the key id.
    case unknownKeyID
    /// Not expected in this state.
    case implausible
    /// The replay window refuses the counter.
    case replayed
    /// A fragment that is there already.
    case duplicateFragment
    /// A newer packet has the slot.
    case noRoom
    /// A tag, a point or a nonce is wrong.
    case notAuthentic
    /// Silence, by π1.
    case unknownRatchet
    /// The Hello policy wants a challenge answered, or nothing at all.
    case challenged
    /// The Hello policy wants nothing at all.
    case overBudget
    /// A challenge that answers no Hello of ours, or comes twice.
    case unexpectedChallenge
    /// The peer is not accepted.
    case refused
    /// The store failed.
    case storeFailed
    /// Another attempt with the same peer goes on.
    case superseded
    /// Not now.
    case busy
    /// A K1 or K2 beyond the pace of section 14.
    case rekeyTooSoon
  }

  /// What happened.
  public enum Event: Sendable, Hashable {
    /// Data can be sent.
    case established(session: Int, Establishment)
    /// Bob: Alice has answered C1.
    case confirmed(session: Int)
    /// Alice: the handshake began anew.
    case restarted(session: Int, Restart)
    /// The handshake went on with the empty ratchet although this side held another.
    case downgraded(session: Int, peer: PublicKey, heldChainLength: UInt64)
    /// Both sides have a new key.
    case rekeyed(session: Int, chainLength: UInt64)
    /// C2 came in S2, after C1.
    case answered(session: Int, roundTrip: Duration?)
    /// The peer is elsewhere now.
    case moved(session: Int, from: Address, to: Address)
    /// ⊥.
    case ended(session: Int, End)
    /// A peer that the application was asked about got no session.
    case withdrawn(PublicKey)
  }

  /// A session at its beginning.
  public struct Establishment: Sendable, Hashable {
    /// The peer's static key.
    public let peer: PublicKey
    /// Whether this side was Alice.
    public let isInitiator: Bool
    /// What Alice said of herself.
    public let identity: [UInt8]
    /// Where the peer is.
    public let address: Address
    /// Of the ratchet state that the handshake has led to.
    public let chainLength: UInt64
    /// Of the ratchet state that this side held, if the handshake went on with the empty one instead.
    public let downgradedFrom: UInt64?
  }

  /// Why a handshake began anew.
  public enum Restart: String, Sendable {
    /// A1 has timed out.
    case timeout
    /// X2 did not authenticate.
    case notAuthentic
    /// A3 has timed out.
    case notConfirmed
    /// A comparison has failed.
    case ratchetConflict
  }

  /// Why a session ended.
  public enum End: String, Sendable {
    /// The application closed it.
    case closed
    /// D came in A3.
    case rejected
    /// D came later.
    case closedByPeer
    /// Nothing came for too long.
    case peerSilent
    /// S1 has timed out.
    case notConfirmed
    /// R1 or R2 has timed out.
    case rekeyTimeout
    /// The Noise part of K1 or K2 did not authenticate.
    case rekeyNotAuthentic
    /// The key was used as often as it may be.
    case keyExhausted
    /// A comparison has failed.
    case ratchetConflict
    /// A newer session with the same peer has its key.
    case replaced
  }

  /// Why something that the application wanted was not done.
  public enum Refusal: Error, Sendable, Equatable {
    /// The peer's key is no point of the curve.
    case invalidPeerKey
    /// The identity is longer than 4096 bytes, or the message longer than section 5 allows.
    case tooLong
    /// There is no such session, or it cannot send yet.
    case noSession
    /// The session has just ended, for its key was used as often as it may be.
    case keyExhausted
  }
}

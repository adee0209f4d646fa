// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 11: the states of a session, and all that it holds.

/// The states. B2 is ``HalfOpen``, ⊥ is no session.
enum State {
  /// X1 was sent; nil while there is none to send, for the store failed or the last attempt has just failed (section 14).
  case a1(WrittenX1?)
  case a3(x3: [UInt8])
  case s1
  case s2
  /// K1 was sent.
  case r1(WrittenK1)
  /// K2 was sent; the inner packet.
  case r2(k2: [UInt8])

  var name: String {
    switch self {
    case .a1: "A1"
    case .a3: "A3"
    case .s1: "S1"
    case .s2: "S2"
    case .r1: "R1"
    case .r2: "R2"
    }
  }
}

/// A session, from the first Hello, or the acceptance of one, to its end.
final class Session {
  let id: Int
  let peer: any AgreementPublicKey
  /// The role in XK.
  var isInitiator: Bool
  var identity: [UInt8]
  var flags: ReferencePeer.Flags
  var address: Address
  var state: State

  /// What the store holds for the peer, as far as this session knows.
  var ratchet = RatchetPair.empty
  /// hk: "derived once and never changed".
  var headerKeys: (send: [UInt8], receive: [UInt8])?
  /// The key to send under.
  var current: SessionKey?
  /// "At most two keys are held": the next one in A3 and R2, else the previous one.
  var other: SessionKey?

  /// Section 4: one send counter, one replay window.
  var sendCounter: UInt64 = 0
  var replayWindow = ReplayWindow()
  var reassembly: Reassembly

  /// kid_A, while X1 is out.
  var kidA: KeyID = 0
  /// What the last X1 ended with, and what the next will end with once a challenge is solved.
  var response = ChallengeBytes(randomPow: 0)
  var solved: ChallengeBytes?
  /// Section 14: whether the handshake has failed before, with no success or timeout since.
  var hasFailed = false
  /// Section 14, "Attempts that are given up": K2 may not lead to these any more.
  var givenUp: [Fingerprint] = []
  /// Of the state that was held when the handshake went on without it.
  var downgradedFrom: UInt64?
  /// Handshakes begun.
  var handshakes = 0

  /// When the state ends, and when its packet is sent again.
  var timeout = Instant.distantFuture
  var resend = Instant.distantFuture

  init(
    id: Int, peer: any AgreementPublicKey, isInitiator: Bool, identity: [UInt8], flags: ReferencePeer.Flags,
    address: Address, state: State, reassembly: Reassembly
  ) {
    (self.id, self.peer, self.isInitiator, self.identity) = (id, peer, isInitiator, identity)
    (self.flags, self.address, self.state, self.reassembly) = (flags, address, state, reassembly)
  }

  var peerKey: PublicKey { peer.encoded }

  /// "Data may be *sent* in S1, S2, R1, R2."
  var canSend: Bool {
    switch state {
    case .a1, .a3: false
    case .s1, .s2, .r1, .r2: true
    }
  }

  /// The key that the peer means by `keyID`.
  func key(_ keyID: KeyID) -> SessionKey? { [current, other].compactMap(\.self).first { $0.localID == keyID } }

  func isCurrent(_ key: SessionKey) -> Bool { current?.localID == key.localID }

  func uses(of key: SessionKey) -> UInt64 { sendCounter - key.since }

  /// All key ids by which the peer may call this session.
  var keyIDs: [KeyID] {
    var keyIDs = [current?.localID, other?.localID].compactMap(\.self)
    if case .a1(.some) = state { keyIDs.append(kidA) }
    if case .r1(let k1) = state { keyIDs.append(k1.kidI) }
    return keyIDs
  }

  /// The handshake begins anew: nothing stays but who the peer is.
  func forgetHandshake() {
    (headerKeys, current, other, solved, downgradedFrom) = (nil, nil, nil, nil, nil)
    (sendCounter, replayWindow) = (0, ReplayWindow())
    reassembly.removeAll()
  }
}

/// Bob's side between X2 and X3: B2.
final class HalfOpen {
  /// Where X1 came from.
  let address: Address
  /// kid_A.
  let kidA: KeyID
  /// For whom the store keeps the ratchet state in use; nil if that is the empty one.
  let ratchetPeer: PublicKey?
  let x2: WrittenX2
  let headerKeys: (send: [UInt8], receive: [UInt8])
  /// "10 s → ⊥"
  let expiry: Instant
  /// Section 14, "Attempts that are given up": X3 may not lead to these any more.
  var givenUp: [Fingerprint] = []
  /// The fragments of X3.
  var reassembly = Reassembly(slots: 1, largestPacket: Size.x3.upperBound)

  init(
    address: Address, kidA: KeyID, ratchetPeer: PublicKey?, x2: WrittenX2, headerKeys: KeyPair, expiry: Instant
  ) {
    (self.address, self.kidA, self.ratchetPeer) = (address, kidA, ratchetPeer)
    (self.x2, self.expiry) = (x2, expiry)
    self.headerKeys = headerKeys.seen(byInitiator: false)
  }
}

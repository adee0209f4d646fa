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
  /// Where a handshake begins (section 14).
  let openingAddress: Address
  var state: State

  /// What the store holds for the peer, as far as this session knows.
  var ratchet = RatchetPair.empty
  // [NOISE-15]
  /// hk: "derived once and never changed".
  var headerKeys: (send: [UInt8], receive: [UInt8])?
  /// The key to send under.
  var current: SessionKey?
  // [KK-15]
  /// "At most two keys are held": the next one in A3 and R2, else the previous one while it is
  /// accepted.
  var other: SessionKey? { didSet { previousUntil = .distantFuture } }
  /// Section 14: when the previous key is erased.
  var previousUntil = Instant.distantFuture
  /// Section 14: re-keys that the peer may begin, and those of this side.
  var peerTokens = Tokens()
  var ownTokens = Tokens()
  /// Section 14: when K2 may be read again.
  var nextK2 = Instant(nanoseconds: .min)

  // [CTR-1]
  /// Section 4: one send counter, one replay window.
  var sendCounter: UInt64 = 0
  // [CTR-3]
  var replayWindow = ReplayWindow()
  var reassembly: Reassembly

  /// kid_A, while X1 is out.
  var kidA: KeyID = 0
  /// What the last X1 ended with, and what the next will end with once a challenge is solved.
  var response = ChallengeBytes(randomPow: 0)
  var solved: ChallengeBytes?
  /// Section 14: how many X2 to this X1 were not authentic.
  var forgedBodies = 0
  /// Section 14: whether the handshake has failed before, with no success or timeout since.
  var hasFailed = false
  /// Section 14, "Attempts that are abandoned": K2 may not lead to these any more.
  var revoked = Revocations()
  /// The revision of the peer's row when the session read it.
  var revision: UInt64 = 0
  /// Section 14, "Both open at once": whether A3 has timed out.
  var wasUnanswered = false
  /// The same: when X3 is sent again at the latest.
  var lastX3 = Instant.distantFuture
  /// Of the state that was held when the handshake went on without it.
  var downgradedFrom: UInt64?
  /// Handshakes begun.
  var handshakes = 0

  /// Section 14, "The peer that is gone"; nil before there is a session.
  var silence: Silence?

  /// When the state ends, and when its packet is sent again.
  var timeout = Instant.distantFuture
  var resend = Instant.distantFuture

  init(
    id: Int, peer: any AgreementPublicKey, isInitiator: Bool, identity: [UInt8], flags: ReferencePeer.Flags,
    address: Address, state: State, reassembly: Reassembly
  ) {
    (self.id, self.peer, self.isInitiator, self.identity) = (id, peer, isInitiator, identity)
    (self.flags, self.address, self.state, self.reassembly) = (flags, address, state, reassembly)
    openingAddress = address
  }

  var peerKey: PublicKey { peer.encoded }

  // [CTRL-6]
  /// "Data may be *sent* in S1, S2, R1, R2."
  var canSend: Bool {
    switch state {
    case .a1, .a3: false
    case .s1, .s2, .r1, .r2: true
    }
  }

  // [CTRL-7]
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
    (sendCounter, replayWindow, forgedBodies) = (0, ReplayWindow(), 0)
    reassembly.removeAll()
  }
}

/// Section 14: a few at once, and one more in every interval. Each token that was taken comes back
/// one interval after the one before.
struct Tokens {
  private var returns: [Instant] = []

  func hasOne(of burst: Int, at now: Instant) -> Bool { returns.count { $0 > now } < burst }

  mutating func take(every interval: Duration, at now: Instant) {
    returns = returns.filter { $0 > now }
    returns.append((returns.last ?? now).advanced(by: interval))
  }
}

/// Section 14, "The peer that is gone".
struct Silence {
  /// When something authentic came last.
  var since: Instant
  /// When to look what is due. "Packets do not move it."
  var look = Instant.distantFuture
  /// By how much C1 is early.
  var early = Duration.zero
  /// When C1 was sent first in this silence, and last, and how many were since C2 came.
  var firstC1 = Instant.distantFuture
  var lastC1: Instant?
  var unanswered = 0
  /// The last measured time between them.
  var roundTrip: Duration?
  /// The pause after the last C1.
  var pause = Duration.zero

  /// Whether C1 was sent since something came.
  var isAsked: Bool { lastC1.map { $0 > since } ?? false }

  /// When C1 is due.
  func nextC1(_ settings: ReferencePeer.Settings) -> Instant {
    if isAsked, let lastC1 { return settings.keepAlive.map { lastC1.advanced(by: min(pause, $0)) } ?? .distantFuture }
    if let keepAlive = settings.keepAlive { return since.advanced(by: keepAlive - early) }
    // "Without a keep-alive time, one resend interval before the end."
    guard let idle = settings.idleTimeout else { return .distantFuture }
    return since.advanced(by: max(.zero, idle - settings.resendInterval))
  }

  /// When the session ends: "never before a C1 has gone unanswered for a resend interval".
  func end(_ settings: ReferencePeer.Settings) -> Instant {
    guard let idle = settings.idleTimeout, isAsked else { return .distantFuture }
    return max(since.advanced(by: idle), firstC1.advanced(by: settings.resendInterval))
  }

  /// C1 is sent.
  mutating func asked(at now: Instant, _ settings: ReferencePeer.Settings) {
    if !isAsked { (firstC1, pause) = (now, settings.resendInterval) }
    (lastC1, unanswered) = (now, unanswered + 1)
  }

  /// C2 came: whether it follows a C1, and the time since if there was one.
  mutating func answered(at now: Instant) -> (Bool, Duration?) {
    defer { unanswered = 0 }
    guard unanswered == 1 else { return (unanswered > 0, nil) }
    roundTrip = lastC1?.duration(to: now)
    return (true, roundTrip)
  }
}

/// Bob's side between X2 and X3: B2.
final class HalfOpen {
  /// Where X1 came from, and then X3.
  var address: Address
  /// kid_A.
  let kidA: KeyID
  /// For whom the store keeps the ratchet state in use; nil if that is the empty one.
  let ratchetPeer: PublicKey?
  let x2: WrittenX2
  let headerKeys: (send: [UInt8], receive: [UInt8])
  // [TIME-3]
  /// "10 s → ⊥"
  let expiry: Instant
  /// Section 14, "Attempts that are abandoned": X3 may not lead to these any more.
  var revoked = Revocations()
  /// The revision of the peer's row before X2; nil if the peer was not known.
  var revision: UInt64?
  /// Section 14, "A store that is slow": of a downgrade that the store may have taken, and was not reported.
  var unreportedDowngrade: UInt64?
  /// S_A, once X3 was accepted.
  var initiator: PublicKey?
  /// Section 14, "An X3 that comes late": which of the peer's swaps were before X2.
  let swapsBefore: Int
  /// Section 14: how many X3 were not authentic.
  var forgedBodies = 0
  /// Section 14, "When to challenge": from which of the two budgets the Hello was taken, if from
  /// any, and whether an X3 was read.
  var wasChallenged: Bool?
  var hasReadX3 = false
  /// Section 14, "Both open at once": when the first one that was authentic came.
  var firstX3: Instant?
  /// The fragments of X3.
  var reassembly = Reassembly(slots: 1, largestPacket: Size.x3.upperBound, beginsAnew: true)

  init(
    address: Address, kidA: KeyID, ratchetPeer: PublicKey?, revision: UInt64?, swapsBefore: Int, x2: WrittenX2,
    headerKeys: KeyPair, expiry: Instant
  ) {
    (self.revision, self.swapsBefore) = (revision, swapsBefore)
    (self.address, self.kidA, self.ratchetPeer) = (address, kidA, ratchetPeer)
    (self.x2, self.expiry) = (x2, expiry)
    self.headerKeys = headerKeys.seen(byInitiator: false)
  }
}

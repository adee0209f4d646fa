// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 11: the states of a session, and its variables.

/// The states. B2 is ``HalfOpen``, ⊥ is no session.
enum State {
  /// X1 was sent. Nil while there is none to send, because the store failed or the last attempt has
  /// just failed (section 14).
  case a1(WrittenX1?)
  case a3(x3: [UInt8])
  case s1
  case s2
  /// K1 was sent.
  case r1(WrittenK1)
  /// K2 was sent. The value is the inner packet.
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
  /// The address at which a handshake begins (section 14).
  let openingAddress: Address
  var state: State

  /// The states that the store holds for the peer, as far as this session knows.
  var ratchet = RatchetPair.empty
  // [NOISE-15]
  /// hk: "derived once and never changed".
  var headerKeys: (send: [UInt8], receive: [UInt8])?
  /// The key for sending.
  var current: SessionKey?
  // [KK-15]
  /// "At most two keys are held": the next one in A3 and R2, otherwise the previous one while it is
  /// accepted.
  var other: SessionKey? { didSet { previousUntil = .distantFuture } }
  /// Section 14: the time when the previous key is erased.
  var previousUntil = Instant.distantFuture
  /// Section 14: the re-keys that the peer may begin, and those that this side may begin.
  var peerTokens = Tokens()
  var ownTokens = Tokens()
  /// Section 14: the time from which K2 may be read again.
  var nextK2 = Instant(nanoseconds: .min)

  // [CTR-1]
  /// Section 4: the one send counter. There is also one replay window.
  var sendCounter: UInt64 = 0
  // [CTR-3]
  var replayWindow = ReplayWindow()
  var reassembly: Reassembly

  /// kid_A, from X1 to A3.
  var kidA: KeyID = 0
  /// The response at the end of the last X1, and the solved one for the next.
  var response = ChallengeBytes(randomPow: 0)
  var solved: ChallengeBytes?
  /// Section 14: the number of X2 to this X1 that were not authentic.
  var forgedBodies = 0
  /// Section 14: true if the handshake has failed before, with no success or timeout since.
  var hasFailed = false
  /// Section 14, "Attempts that are abandoned": the states that K2 may not lead to any more.
  var revoked = Revocations()
  /// The revision of the peer's row when the session read it.
  var revision: UInt64 = 0
  /// Section 14, "Both open at once": true if A3 has timed out.
  var wasUnanswered = false
  /// Section 14, "Both open at once": the latest time at which X3 is resent.
  var lastX3 = Instant.distantFuture
  /// The chain length of the state that was held when the handshake continued without it.
  var downgradedFrom: UInt64?
  /// The number of handshakes begun.
  var handshakes = 0

  /// Section 14, "The peer that is gone"; nil before there is a session.
  var silence: Silence?

  /// The end of the state, and the next resend of its packet.
  var timeout = Instant.distantFuture
  var resend = Instant.distantFuture

  init(
    id: Int, peer: any AgreementPublicKey, isInitiator: Bool, identity: [UInt8], flags: ReferencePeer.Flags,
    address: Address, state: State, reassembly: Reassembly
  ) {
    self.id = id
    self.peer = peer
    self.isInitiator = isInitiator
    self.identity = identity
    self.flags = flags
    self.address = address
    self.state = state
    self.reassembly = reassembly
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
  /// Returns the key that has `keyID` on this side.
  func key(_ keyID: KeyID) -> SessionKey? { [current, other].compactMap(\.self).first { $0.localID == keyID } }

  func isCurrent(_ key: SessionKey) -> Bool { current?.localID == key.localID }

  func uses(of key: SessionKey) -> UInt64 { sendCounter - key.since }

  /// All key ids of this session that the peer may use.
  var keyIDs: [KeyID] {
    var keyIDs = [current?.localID, other?.localID].compactMap(\.self)
    if case .a1(.some) = state { keyIDs.append(kidA) }
    if case .r1(let k1) = state { keyIDs.append(k1.kidI) }
    return keyIDs
  }

  /// Discards everything but the peer, before the handshake restarts.
  func forgetHandshake() {
    headerKeys = nil
    current = nil
    other = nil
    solved = nil
    downgradedFrom = nil
    sendCounter = 0
    replayWindow = ReplayWindow()
    forgedBodies = 0
    reassembly.removeAll()
  }
}

/// The limit of section 14: a few at once, and one more per interval. Each used token returns one
/// interval after the one before.
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
  /// The time when the last authentic packet arrived.
  var since: Instant
  /// The earliest time at which something can be due. "Packets do not move it."
  var look = Instant.distantFuture
  /// The random time by which C1 is sent early.
  var early = Duration.zero
  /// The times when C1 was sent first and last in this silence, and how many were sent since the
  /// last C2.
  var firstC1 = Instant.distantFuture
  var lastC1: Instant?
  var unanswered = 0
  /// The last measured time from C1 to C2.
  var roundTrip: Duration?
  /// The pause after the last C1.
  var pause = Duration.zero

  /// True if C1 was sent since the last authentic packet.
  var isAsked: Bool { lastC1.map { $0 > since } ?? false }

  /// Returns the time at which C1 is due.
  func nextC1(_ settings: ReferencePeer.Settings) -> Instant {
    if let keepAlive = settings.keepAlive {
      guard isAsked, let lastC1 else { return since.advanced(by: keepAlive - early) }
      return lastC1.advanced(by: min(pause, keepAlive))
    }
    // "Without a keep-alive time it is sent three resend intervals before the end, or at half the
    // idle timeout if that is later, and again after each resend interval."
    guard let idle = settings.idleTimeout else { return .distantFuture }
    let first = since.advanced(by: max(idle - settings.resendInterval * 3, idle / 2))
    guard isAsked, let lastC1 else { return first }
    return max(first, lastC1.advanced(by: settings.resendInterval))
  }

  /// Returns the time when the session ends: "never before a C1 has gone unanswered for a resend
  /// interval".
  func end(_ settings: ReferencePeer.Settings) -> Instant {
    guard let idle = settings.idleTimeout, isAsked else { return .distantFuture }
    return max(since.advanced(by: idle), firstC1.advanced(by: settings.resendInterval))
  }

  /// Records that C1 is sent.
  mutating func asked(at now: Instant, _ settings: ReferencePeer.Settings) {
    if !isAsked {
      firstC1 = now
      pause = settings.resendInterval
    }
    lastC1 = now
    unanswered += 1
  }

  /// Records that C2 arrived. Returns true if it follows a C1, and the time since if there was
  /// exactly one.
  mutating func answered(at now: Instant) -> (Bool, Duration?) {
    defer { unanswered = 0 }
    guard unanswered == 1 else { return (unanswered > 0, nil) }
    roundTrip = lastC1?.duration(to: now)
    return (true, roundTrip)
  }
}

/// Bob's side between X2 and X3: B2.
final class HalfOpen {
  /// The source of X1, and then of X3.
  var address: Address
  /// kid_A.
  let kidA: KeyID
  /// The peer for which the store has the ratchet state in use; nil if that is the empty one.
  let ratchetPeer: PublicKey?
  let x2: WrittenX2
  let headerKeys: (send: [UInt8], receive: [UInt8])
  // [TIME-3]
  /// "10 s → ⊥"
  let expiry: Instant
  /// Section 14, "Attempts that are abandoned": the states that X3 may not lead to any more.
  var revoked = Revocations()
  /// The revision of the peer's row before X2; nil if the peer was unknown.
  var revision: UInt64?
  /// Section 14, "A store that is slow": the chain length of a downgrade that the store may have
  /// taken and that was not reported.
  var unreportedDowngrade: UInt64?
  /// S_A, after X3 was accepted.
  var initiator: PublicKey?
  /// Section 14, "An X3 that comes late": the number of swaps before X2.
  let swapsBefore: Int
  /// Section 14: the number of X3 that were not authentic.
  var forgedBodies = 0
  /// Section 14, "When to challenge": the budget that the Hello was charged to, nil if none; and if
  /// an X3 was read.
  var wasChallenged: Bool?
  var hasReadX3 = false
  /// Section 14, "Both open at once": when the first authentic X3 arrived.
  var firstX3: Instant?
  /// The fragments of X3.
  var reassembly = Reassembly(slots: 1, largestPacket: Size.x3.upperBound, beginsAnew: true)

  init(
    address: Address, kidA: KeyID, ratchetPeer: PublicKey?, revision: UInt64?, swapsBefore: Int, x2: WrittenX2,
    headerKeys: KeyPair, expiry: Instant
  ) {
    self.revision = revision
    self.swapsBefore = swapsBefore
    self.address = address
    self.kidA = kidA
    self.ratchetPeer = ratchetPeer
    self.x2 = x2
    self.expiry = expiry
    self.headerKeys = headerKeys.seen(byInitiator: false)
  }
}

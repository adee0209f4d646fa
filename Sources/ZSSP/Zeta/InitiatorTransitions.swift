// SPDX-License-Identifier: Apache-2.0

/// Why a session could not be opened.
public enum OpenError: Error, Hashable {
  /// The peer's key is not a point of the curve.
  case invalidPeerKey
  /// The identity is longer than 4096 bytes.
  case identityTooLong(Int)
  /// There are so many sessions and half-open handshakes as the key ids of the endpoint allow: see ``Settings/nodeBits``.
  case tooManySessions(limit: Int)
}

extension OpenError: CustomStringConvertible {
  /// What is wrong and what would be right.
  public var description: String {
    switch self {
    case .invalidPeerKey: "the peer's public key is not a point of P-384"
    case .identityTooLong(let size): "an identity of \(size) bytes is too long: the limit is 4096 bytes"
    case .tooManySessions(let limit):
      "there are \(limit) sessions, for more of which the endpoint has no key ids: fewer bits must be fixed"
    }
  }
}

/// Alice's transitions: ⊥ → A1 → A3 (sections 6 and 11).
extension Endpoint {
  /// Opens a session. The handshake starts at once and goes on, with new keys every ``Settings/handshakeTimeout``, until
  /// it succeeds, is rejected, or the session is closed.
  ///
  /// - Parameters:
  ///   - peer: the static key that the responder must have.
  ///   - address: where to send the Hello.
  ///   - identity: what this side says of itself, 0…4096 bytes. Only `peer` can read it.
  ///   - flags: π2 counts; the endpoint's flags if nil.
  public mutating func open(
    to peer: PublicKey, at address: Address, identity: [UInt8] = [], flags: SecurityFlags? = nil, now: Instant
  ) throws(OpenError) -> SessionID {
    guard identity.count <= PacketSize.largestIdentity else { throw .identityTooLong(identity.count) }
    guard hasRoomForOwner else { throw .tooManySessions(limit: keyIDPattern.ownerLimit) }
    let decoded: any AgreementPublicKey
    do { decoded = try provider.agreementPublicKey(peer) } catch { throw .invalidPeerKey }
    let (settings, flags) = (settings, flags ?? configuration.flags)
    let session = sessions.add { id in
      Session(
        id: id, role: .initiator, peer: peer, identity: identity, flags: flags, address: address,
        state: .a1(.loading), settings: settings)
    }
    session.peerPoint = decoded
    enroll(session)
    enterA1(session, at: now)
    return session.id
  }

  private mutating func enterA1(_ session: Session, at now: Instant) {
    session.state = .a1(.loading)
    session.statistics.handshakes += 1
    session.stateDeadline = now.advanced(by: settings.handshakeTimeout)
    session.resendDeadline = now.advanced(by: settings.resendInterval)
    loadRatchet(session)
    schedule(session)
  }

  /// X1 offers the states that are stored for the peer, so these come first.
  mutating func loadRatchet(_ session: Session) {
    ask(.load(peer: session.peer), then: .loaded(session))
  }

  mutating func ratchetLoaded(_ session: Session, _ answer: StoreAnswer, at now: Instant) {
    guard case .a1(.loading) = session.state else { return }
    // Without an answer the resend timer asks again.
    guard case .pair(let pair) = answer else { return drop(.storeFailed) }
    session.ratchet = pair
    session.offeredKeyID = drawKeyID()
    keyIDs.set(session.offeredKeyID, to: .session(session))
    session.state = .a1(.computing)
    let (keyID, peer, point) = (session.offeredKeyID, session.peer, session.peerPoint)
    let (profile, provider) = (configuration.profile, provider)
    ask(.hello, then: .hello(session)) { () throws(AuthenticationFailure) in
      let peer = if let point { point } else { try provider.receivedKey(peer.bytes) }
      return .hello(
        try InitiatorHandshake.hello(keyID: keyID, to: peer, ratchet: pair, profile: profile, provider: provider))
    }
  }

  mutating func helloComputed(_ session: Session, _ hello: InitiatorHandshake.Hello, at now: Instant) {
    guard case .a1(.computing) = session.state else { return }
    session.setHeaderKeys(HeaderKeyPair(hello.headerKeys, .initiator))
    // Section 8: the first Hello carries zeros and a random proof of work.
    session.challengeResponse = .unchallenged(proof: provider.randomInteger(UInt64.self))
    session.solvedChallenge = nil
    session.state = .a1(.sent(hello))
    session.resendDeadline = now.advanced(by: settings.resendInterval)
    sendHello(session, hello)
    schedule(session)
  }

  mutating func sendHello(_ session: Session, _ hello: InitiatorHandshake.Hello) {
    // A solved challenge does not go out at once, but with the next regular resend.
    if let solved = session.solvedChallenge.take() { session.challengeResponse = solved }
    let packet = hello.packet + session.challengeResponse.bytes
    sendFragments(of: packet.rawBytes, .hello, hello.counter, to: session.address, .none, under: nil)
  }

  /// X2 is complete. Its header was protected under a key that only the responder can derive.
  mutating func responseReceived(_ session: Session, _ packet: RawSpan, _ header: FragmentHeader) -> Reception {
    guard case .a1(.sent(let hello)) = session.state else { return .dropped(.implausible) }
    guard packet.byteCount == PacketSize.response else { return .dropped(.malformed) }
    let end = packet.load(UInt32.self, at: packet.byteCount - 4) & 0xFF_FFFF
    guard header.counter == UInt64(end) else { return .dropped(.notAuthentic) }
    guard session.pending == nil else { return .dropped(.busy) }
    let (packet, ratchet, identity) = (packet.array, session.ratchet, session.identity)
    let allowsDowngrade = !session.flags.contains(.initiatorDisallowsDowngrade)
    let (staticKey, provider) = (configuration.staticKey, provider)
    ask(.responseReceived, then: .responseReceived(session)) { () throws(AuthenticationFailure) in
      .responseReceived(
        try InitiatorHandshake.completion(
          of: hello, response: packet.rawBytes, ratchet: ratchet, allowsDowngrade: allowsDowngrade,
          staticKey: staticKey, identity: identity, provider: provider))
    }
    return .handled
  }

  /// X2 was good. Before X3 leaves, the new ratchet state is stored beside the one that was used (section 6).
  mutating func responseRead(_ session: Session, _ completion: InitiatorHandshake.Completion) {
    guard case .a1(.sent) = session.state else { return }
    let held = session.ratchet
    // After a downgrade the second slot keeps the last confirmed state, so that whoever got no further than X2 cannot
    // make this side forget it.
    let kept = completion.isDowngrade ? held.state2 ?? held.state1 : completion.used
    let new = RatchetPair(completion.secrets.ratchet, kept)
    ask(
      .compareAndSwap(peer: session.peer, expected: held, new: new),
      then: .storedCompletion(session, completion))
  }

  mutating func enterA3(_ session: Session, _ completion: InitiatorHandshake.Completion, at now: Instant) {
    guard case .a1(.sent) = session.state else { return }
    let held = session.ratchet
    let kept = completion.isDowngrade ? held.state2 ?? held.state1 : completion.used
    session.ratchet = RatchetPair(completion.secrets.ratchet, kept)
    session.otherKey = SessionKey(
      completion.secrets, role: .initiator, localID: session.offeredKeyID, remoteID: completion.responderKeyID,
      firstCounter: session.sendCounter)
    session.offeredKeyID = .none
    session.reassembly.removeAll()
    session.state = .a3(completion: completion.packet)
    session.stateDeadline = now.advanced(by: settings.handshakeTimeout)
    session.resendDeadline = now.advanced(by: settings.resendInterval)
    if completion.isDowngrade {
      reportDowngrade(session, from: kept.chainLength)
    }
    sendCompletion(session, completion.packet)
  }

  mutating func sendCompletion(_ session: Session, _ packet: [UInt8]) {
    guard let key = session.otherKey else { return }
    sendFragments(
      of: packet.rawBytes, .completion, 0, to: session.address, key.remoteID, under: headerSendingKey(session))
  }

  /// An authentication failure in the handshake acts as the state's timeout (section 11), but only the first in a row
  /// does so at once: a peer of another profile must not make this side compute Hellos as fast as it can answer them.
  mutating func handshakeFailed(_ session: Session, _ reason: RestartReason, at now: Instant) {
    let isRepeated = session.isBackingOff
    session.isBackingOff = true
    guard isRepeated else { return restart(session, reason, at: now) }
    session.lastRestart = reason
    events.push(.restarted(session.id, reason))
    forgetHandshake(session)
    session.state = .a1(.loading)
    session.stateDeadline = now.advanced(by: settings.handshakeTimeout)
    session.resendDeadline = now.advanced(by: settings.resendInterval)
    schedule(session)
  }

  /// The handshake starts anew: new key id, new ephemeral keys, new X1.
  mutating func restart(_ session: Session, _ reason: RestartReason, at now: Instant) {
    if reason == .timeout || reason == .notConfirmed { session.isBackingOff = false }
    session.lastRestart = reason
    events.push(.restarted(session.id, reason))
    forgetHandshake(session)
    enterA1(session, at: now)
  }

  /// Back to nothing but who the peer is.
  mutating func forgetHandshake(_ session: Session) {
    forgetRequest(of: session)
    releaseKeys(session)
    session.downgradedFrom = nil
    session.sendCounter = 0
    session.replayWindow = ReplayWindow()
    session.reassembly.removeAll()
  }
}

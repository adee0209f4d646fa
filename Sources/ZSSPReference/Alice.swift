// SPDX-License-Identifier: Apache-2.0
public import ZSSP

// Section 6, Alice: ⊥ → A1 → A3. What follows is in Confirmation.swift.

extension ReferencePeer {
  /// Opens a session: ⊥ → A1.
  ///
  /// - Parameters:
  ///   - peer: the static key of the peer.
  ///   - address: the destination of the Hello.
  ///   - identity: Alice's description of herself, 0 to 4096 bytes.
  ///   - flags: the flags of the session, of which π2 counts; the peer's own if nil.
  ///   - now: the present time.
  /// - Returns: the id of the session.
  /// - Throws: ``Refusal/tooLong`` or ``Refusal/invalidPeerKey``.
  public func open(
    to peer: PublicKey, at address: Address, identity: [UInt8] = [], flags: Flags? = nil, now: Instant
  ) throws(Refusal) -> Int {
    guard identity.count <= 4096 else { throw .tooLong }
    guard let bob = try? crypto.publicKey(peer.array) else { throw .invalidPeerKey }
    let session = Session(
      id: nextSessionID(), peer: bob, isInitiator: true, identity: identity, flags: flags ?? self.flags,
      address: address, state: .a1(nil), reassembly: Reassembly(slots: settings.reassemblySlots))
    sessions.append(session)
    enterA1(session, at: now)
    return session.id
  }

  /// "A1 anew: new kid, new ephemerals, new X1."
  private func enterA1(_ session: Session, at now: Instant) {
    waitForX1(session, at: now)
    session.handshakes += 1
    sayHello(session, at: now)
  }

  /// Enters A1 without an X1 yet.
  private func waitForX1(_ session: Session, at now: Instant) {
    session.state = .a1(nil)
    // [TIME-2] [TIME-9]
    session.timeout = now.advanced(by: settings.handshakeTimeout)
    session.resend = now.advanced(by: settings.resendInterval)
  }

  /// X1: "kid_A new; (rk1, rf1), (rk2, rf2) are the ratchet states stored for this peer."
  func sayHello(_ session: Session, at now: Instant) {
    // If the store fails, the request is repeated at the next resend.
    // [XK-2]
    guard let row = try? store.row(session.peerKey) else { return }
    let pair = row.pair
    session.ratchet = pair
    session.revision = row.revision
    // [XK-1]
    session.kidA = newKeyID()
    let x1: WrittenX1
    do {
      x1 = try XK.writeX1(kidA: session.kidA, to: session.peer, offering: pair, profile: profile, crypto: crypto)
    } catch { return handshakeFailed(of: session, reason: .notAuthentic, at: now) }
    session.headerKeys = x1.headerKeys.seen(byInitiator: true)
    // Section 8: "Alice's first Hello carries `0^8 || 0^16 || random pow`."
    // [CHAL-2]
    session.response = ChallengeBytes(randomPow: randomInteger())
    session.solved = nil
    session.forgedBodies = 0
    session.state = .a1(x1)
    session.resend = now.advanced(by: settings.resendInterval)
    sendX1(on: session, x1)
  }

  /// "packet = kid_A || the above || challenge response". Resends are "same bytes but for the
  /// challenge response" (section 11).
  func sendX1(on session: Session, _ x1: WrittenX1) {
    // Section 8: "the response goes out with the next regular resend of X1."
    // [CHAL-12]
    if let solved = session.solved {
      session.response = solved
      session.solved = nil
    }
    // [FRAG-1] [HDR-7] [XK-6]
    emit(
      x1.packet + session.response.bytes, type: .x1, counter: x1.counter, to: session.address, keyID: 0, headerKey: nil)
  }

  /// Section 8: "Alice accepts a challenge only in A1 and only if its pow equals the pow of her
  /// last Hello."
  func receiveChallenge(_ payload: [UInt8]) throws(Drop) {
    let kidA = KeyID(integer(payload[0..<4]))
    let challenge = ChallengeBytes(payload[4..<36])
    let asked = sessions.first { session in
      if case .a1(.some) = session.state { session.kidA == kidA } else { false }
    }
    // [CHAL-10]
    guard let session = asked, challenge.pow == session.response.pow, session.solved == nil else {
      throw .unexpectedChallenge
    }
    // [CHAL-11]
    session.solved = challenge.solved(from: randomInteger(), crypto)
  }

  /// X2: A1 → A3.
  func receiveX2(_ packet: [UInt8], header: Header, session: Session, at now: Instant) throws(Drop) {
    // [XK-18]
    guard case .a1(let x1?) = session.state else { throw .unexpected }
    guard packet.count == Size.x2 else { throw .malformed }
    // "In A1, key id matches, counter equals the last 3 bytes of X2."
    // [PKT-7] [XK-18]
    guard header.counter == integer(packet.suffix(3)) else { throw .notAuthentic }
    let held = session.ratchet
    let x2: ReadX2
    let x3: (packet: [UInt8], outcome: Outcome)
    do {
      x2 = try XK.readX2(packet, answering: x1, trying: candidates(of: held, flags: session.flags))
      x3 = try XK.writeX3(after: x2, alice: staticKey, identity: session.identity)
    } catch {
      // Section 11: "An authentication failure inside Noise XK at Alice acts as that state's
      // timeout." Section 14: once so many have failed that she waits for a genuine one no longer.
      // [DEC-2] [DEC-4]
      session.forgedBodies += 1
      guard session.forgedBodies >= settings.bodiesPerHandshake else { throw .notAuthentic }
      return handshakeFailed(of: session, reason: .notAuthentic, at: now)
    }
    recordAnswer(session.peerKey, used: x2.used)
    // "Before X3 leaves, Alice stores (new, the state used) by compare-and-swap."
    let change = afterX2(held, used: x2.used, new: x3.outcome.ratchet)
    // [XK-25]
    guard try swap(session, to: change.pair, at: now) else { return }

    session.other = SessionKey(
      x3.outcome, byInitiator: true, localID: session.kidA, remoteID: x2.kidB, since: session.sendCounter)
    // [DEC-7]
    session.reassembly.removeAll()
    session.state = .a3(x3: x3.packet)
    session.lastX3 = .distantFuture
    // [TIME-4] [TIME-9]
    session.timeout = now.advanced(by: settings.handshakeTimeout)
    session.resend = now.advanced(by: settings.resendInterval)
    // [MODE-6] [XK-20]
    if let chainLength = change.downgradedFrom { downgraded(session, from: chainLength) }
    sendX3(on: session, x3.packet)
  }

  /// X3, the same bytes each time, under packet-nonce counter 0 (section 4).
  func sendX3(on session: Session, _ x3: [UInt8]) {
    guard let key = session.other else { return }
    // [DEC-32] [PKT-7]
    emit(x3, type: .x3, counter: 0, to: session.address, keyID: key.remoteID, headerKey: session.headerKeys?.send)
  }

  /// "Reported as a downgrade."
  func downgraded(_ session: Session, from chainLength: UInt64) {
    session.downgradedFrom = chainLength
    report(.downgraded(session: session.id, peer: session.peerKey, heldChainLength: chainLength))
  }

  // [TIME-2] [TIME-4]
  /// The state's timeout, "A1 anew".
  func restart(_ session: Session, reason: Restart, at now: Instant) {
    report(.restarted(session: session.id, reason))
    forgetHandshake(session)
    enterA1(session, at: now)
  }

  /// Section 14, "Failed handshakes in a row": "the first failure restarts the handshake at once;
  /// further ones in a row wait for the resend interval."
  func handshakeFailed(of session: Session, reason: Restart, at now: Instant) {
    let isFirst = !session.hasFailed
    session.hasFailed = true
    // [DEC-1] [TIME-11]
    if isFirst { return restart(session, reason: reason, at: now) }
    report(.restarted(session: session.id, reason))
    forgetHandshake(session)
    waitForX1(session, at: now)
  }

  /// Discards a handshake. Section 14: the next one begins at the address that the application
  /// gave.
  func forgetHandshake(_ session: Session) {
    session.forgetHandshake()
    // [DEC-33]
    if session.address != session.openingAddress { move(session, to: session.openingAddress) }
  }
}

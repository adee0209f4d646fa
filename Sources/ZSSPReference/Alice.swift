// SPDX-License-Identifier: Apache-2.0
public import ZSSP

// Section 6, Alice: ⊥ → A1 → A3. What follows is in Confirmation.swift.

extension ReferencePeer {
  /// ⊥ → A1.
  ///
  /// - Parameters:
  ///   - identity: what Alice says of herself, 0…4096 bytes.
  ///   - flags: π2 counts; the peer's own if nil.
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

  /// A1 without an X1 yet.
  private func waitForX1(_ session: Session, at now: Instant) {
    session.state = .a1(nil)
    session.timeout = now.advanced(by: settings.handshakeTimeout)
    session.resend = now.advanced(by: settings.resendInterval)
  }

  /// X1: "kid_A new; (rk1, rf1), (rk2, rf2) are the ratchet states stored for this peer."
  func sayHello(_ session: Session, at now: Instant) {
    // If the store fails, the time of the next resend is the time to ask again.
    guard let pair = try? store.pair(session.peerKey) else { return }
    session.ratchet = pair
    session.kidA = newKeyID()
    let x1: WrittenX1
    do {
      x1 = try XK.writeX1(kidA: session.kidA, to: session.peer, offering: pair, profile, crypto)
    } catch { return handshakeFailed(session, .notAuthentic, at: now) }
    session.headerKeys = x1.headerKeys.seen(byInitiator: true)
    // Section 8: "Alice's first Hello carries `0^8 || 0^16 || random pow`."
    (session.response, session.solved) = (ChallengeBytes(randomPow: randomInteger()), nil)
    session.state = .a1(x1)
    session.resend = now.advanced(by: settings.resendInterval)
    sendX1(session, x1)
  }

  /// "packet = kid_A || the above || challenge response". Resends are "same bytes but for the challenge response"
  /// (section 11).
  func sendX1(_ session: Session, _ x1: WrittenX1) {
    // Section 8: "the response goes out with the next regular resend of X1."
    if let solved = session.solved { (session.response, session.solved) = (solved, nil) }
    emit(x1.packet + session.response.bytes, .x1, x1.counter, to: session.address, 0, nil)
  }

  /// Section 8: "Alice accepts a challenge only in A1 and only if its pow equals the pow of her last Hello."
  func receiveChallenge(_ payload: [UInt8]) throws(Drop) {
    let kidA = KeyID(integer(payload[0..<4]))
    let challenge = ChallengeBytes(payload[4..<36])
    let asked = sessions.first { session in
      if case .a1(.some) = session.state { session.kidA == kidA } else { false }
    }
    guard let session = asked, challenge.pow == session.response.pow, session.solved == nil else {
      throw .unexpectedChallenge
    }
    session.solved = challenge.solved(from: randomInteger(), crypto)
  }

  /// X2: A1 → A3.
  func receiveX2(_ packet: [UInt8], _ header: Header, _ session: Session, at now: Instant) throws(Drop) {
    guard case .a1(let x1?) = session.state else { throw .implausible }
    guard packet.count == Size.x2 else { throw .malformed }
    // "In A1, key id matches, counter equals the last 3 bytes of X2."
    guard header.counter == integer(packet.suffix(3)) else { throw .notAuthentic }
    let held = session.ratchet
    let x2: ReadX2
    let x3: (packet: [UInt8], outcome: Outcome)
    do {
      x2 = try XK.readX2(packet, answering: x1, trying: candidates(held, session.flags))
      x3 = try XK.writeX3(after: x2, alice: staticKey, identity: session.identity)
    } catch {
      // Section 11: "An authentication failure inside Noise XK at Alice acts as that state's timeout."
      return handshakeFailed(session, .notAuthentic, at: now)
    }
    // "Before X3 leaves, Alice stores (new, the state used) by compare-and-swap."
    let change = afterX2(held, used: x2.used, new: x3.outcome.ratchet)
    guard try swap(session, to: change.pair, at: now) else { return }

    session.other = SessionKey(
      x3.outcome, byInitiator: true, localID: session.kidA, remoteID: x2.kidB, since: session.sendCounter)
    session.reassembly.removeAll()
    session.state = .a3(x3: x3.packet)
    session.timeout = now.advanced(by: settings.handshakeTimeout)
    session.resend = now.advanced(by: settings.resendInterval)
    if let chainLength = change.downgradedFrom { downgraded(session, from: chainLength) }
    sendX3(session, x3.packet)
  }

  /// X3, the same bytes each time, under packet-nonce counter 0 (section 4).
  func sendX3(_ session: Session, _ x3: [UInt8]) {
    guard let key = session.other else { return }
    emit(x3, .x3, 0, to: session.address, key.remoteID, session.headerKeys?.send)
  }

  /// "Reported as a downgrade."
  func downgraded(_ session: Session, from chainLength: UInt64) {
    session.downgradedFrom = chainLength
    report(.downgraded(session: session.id, peer: session.peerKey, heldChainLength: chainLength))
  }

  /// The state's timeout, "A1 anew".
  func restart(_ session: Session, _ reason: Restart, at now: Instant) {
    report(.restarted(session: session.id, reason))
    session.forgetHandshake()
    enterA1(session, at: now)
  }

  /// Section 14, "Failed handshakes in a row": "the first failure restarts the handshake at once; further ones in a row
  /// wait for the resend interval."
  func handshakeFailed(_ session: Session, _ reason: Restart, at now: Instant) {
    let isFirst = !session.hasFailed
    session.hasFailed = true
    if isFirst { return restart(session, reason, at: now) }
    report(.restarted(session: session.id, reason))
    session.forgetHandshake()
    waitForX1(session, at: now)
  }
}

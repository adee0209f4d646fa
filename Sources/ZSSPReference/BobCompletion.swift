// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 6, Bob: B2 → S1.

extension ReferencePeer {
  /// "A half-open handshake is consumed by its first complete X3, whatever comes of it". Section 14
  /// excepts a store that fails, and the first few X3s that are not authentic.
  func receiveX3(
    _ packet: [UInt8], for handshake: HalfOpen, from source: Address, at now: Instant
  ) throws(Drop) {
    guard Size.x3.contains(packet.count) else { throw .malformed }
    // Section 14, "When to challenge": "A Hello pays for one X3."
    if handshake.hasReadX3, let wasChallenged = handshake.wasChallenged {
      guard gate.takeX3(helloPolicy, wasChallenged: wasChallenged, at: now) else { throw .overBudget }
    }
    handshake.hasReadX3 = true
    // [DEC-29]
    handshake.address = source
    do {
      try completeX3(packet, of: handshake, at: now)
    } catch {
      // [DEC-3] [DEC-4]
      if error == .notAuthentic { handshake.forgedBodies += 1 }
      let isForged = error == .notAuthentic && handshake.forgedBodies < settings.bodiesPerHandshake
      // [DEC-10] [XK-34]
      if error != .storeFailed, error != .busy, !isForged { forget(handshake) }
      throw error
    }
  }

  private func completeX3(_ packet: [UInt8], of handshake: HalfOpen, at now: Instant) throws(Drop) {
    // "Bob, on X3: decrypts, checks S_A,"
    let x3: ReadX3
    // [XK-27]
    do { x3 = try XK.readX3(packet, answering: handshake.x2) } catch { throw .notAuthentic }
    let peer = x3.alice.encoded
    let outcome = x3.outcome.ratchet.fingerprint
    // [DEC-64] [DEC-65] [DEC-70]
    guard handshake.revoked.allow(outcome, since: 0) else { throw .superseded }
    if let end = leftBehind[outcome], now < end { throw .superseded }
    handshake.firstX3 = handshake.firstX3 ?? now
    try checkPrecedence(peer, of: handshake, at: now)
    // "asks the application to accept."
    // [XK-28]
    let question = Question(
      peer: peer, identity: x3.identity, address: handshake.address, ratchetPeer: handshake.ratchetPeer)
    switch accept(question) {
    case .reject(let silently):
      sendD(handshake, x3: x3, silently: silently)
      report(.withdrawn(peer))
      throw .refused
    case .accept(let flags):
      do {
        try take(handshake, x3: x3, flags: flags, at: now)
      } catch {
        report(.withdrawn(peer))
        throw error
      }
    }
  }

  /// "If it accepts he restores the states stored for that peer", checks the state used, "stores
  /// (new, none) by compare-and-swap, enters S1 with send counter 1, and sends C1 with counter 0."
  private func take(_ handshake: HalfOpen, x3: ReadX3, flags: Flags, at now: Instant) throws(Drop) {
    let peer = x3.alice.encoded
    handshake.initiator = peer
    let held: HeldRow
    // [XK-29]
    do { held = try store.row(peer) } catch { throw .storeFailed }
    guard let change = afterX3(held.pair, used: handshake.x2.used, new: x3.outcome.ratchet, flags: flags) else {
      sendD(handshake, x3: x3, silently: flags.responderSilentlyRejects)
      throw .refused
    }
    // Section 14, "An X3 that comes late": one "under the empty state that would be a downgrade is
    // refused, too, if after its X2 was sent an X2 of the peer was read that is based on another
    // state".
    if change.downgradedFrom != nil, let last = lastAnswers[peer], last > handshake.swapsBefore { throw .superseded }
    let name = x3.outcome.ratchet.fingerprint
    let downgradedFrom = held.pair.state1 == x3.outcome.ratchet ? handshake.unreportedDowngrade : change.downgradedFrom
    handshake.unreportedDowngrade = downgradedFrom
    storedNames[name] = now.advanced(by: settings.handshakeTimeout)
    let isSwapped: Bool
    do {
      // [XK-31]
      isSwapped = try store.swap(of: peer, from: held.pair, to: change.pair, since: handshake.revision ?? held.revision)
    } catch { throw .storeFailed }
    // Section 9: "A failed comparison ends the session instance (another one won)."
    // [RAT-8]
    guard isSwapped else {
      storedNames[name] = nil
      handshake.unreportedDowngrade = nil
      throw .superseded
    }

    halfOpen.removeAll { $0 === handshake }
    recordSwap(peer)
    let session = makeSession(handshake, x3: x3, flags: flags)
    session.ratchet = change.pair
    session.revision = held.revision
    session.headerKeys = handshake.headerKeys
    session.current = SessionKey(
      x3.outcome, byInitiator: false, localID: handshake.x2.kidB, remoteID: handshake.kidA, since: 0)
    session.handshakes += 1
    // [TIME-5] [TIME-9]
    session.timeout = now.advanced(by: settings.rekeyTimeout)
    session.resend = now.advanced(by: settings.resendInterval)
    // [MODE-6] [XK-30]
    if let chainLength = downgradedFrom { downgraded(session, from: chainLength) }
    established(session, at: now)
    // [XK-32]
    sendC1(session, at: now)
  }

  /// Returns a new session, or the one that this side is opening itself, which then continues as
  /// Bob's (section 14). "Bob's session begins at the address that X3 came from."
  private func makeSession(_ handshake: HalfOpen, x3: ReadX3, flags: Flags) -> Session {
    // [DEC-43]
    if let own = opening(to: x3.alice.encoded) {
      forgetHandshake(own)
      own.isInitiator = false
      own.identity = x3.identity
      own.flags = flags
      own.address = handshake.address
      own.state = .s1
      return own
    }
    let session = Session(
      id: nextSessionID(), peer: x3.alice, isInitiator: false, identity: x3.identity, flags: flags,
      address: handshake.address, state: .s1, reassembly: Reassembly(slots: settings.reassemblySlots))
    sessions.append(session)
    return session
  }

  /// "On rejection he sends D with counter 0 under kek_toAlice unless flag π4 says silence."
  private func sendD(_ handshake: HalfOpen, x3: ReadX3, silently: Bool) {
    // [MODE-4] [XK-33]
    guard !silently else { return }
    let d = crypto.seal(
      x3.outcome.kek.seen(byInitiator: false).send, nonce: nonce(PacketType.d.rawValue, 0), plaintext: [])
    emit(d, type: .d, counter: 0, to: handshake.address, keyID: handshake.kidA, headerKey: handshake.headerKeys.send)
  }

  /// Forgets a handshake. Section 14: "A downgrade that the store may have taken is reported
  /// whatever becomes of the answer."
  func forget(_ handshake: HalfOpen) {
    halfOpen.removeAll { $0 === handshake }
    // [DEC-73]
    guard let chainLength = handshake.unreportedDowngrade, let peer = handshake.initiator else { return }
    let id = nextSessionID()
    report(.downgraded(session: id, peer: peer, heldChainLength: chainLength))
    report(.ended(session: id, .replaced))
  }

  // MARK: Both open at once

  /// Returns the session with `peer` that this side is still opening.
  func opening(to peer: PublicKey) -> Session? { sessions.first { $0.peerKey == peer && !$0.canSend } }

  /// Section 14, "Both open at once": the side with the smaller static key is preferred as
  /// initiator. "A handshake of the peer that has come to a complete X3 is taken in the place of
  /// one's own attempt; but in A3 the preferred side refuses it", and the other "leaves it for one
  /// resend interval". "An X3 that comes late": "an X3 is refused whose X2 was sent before the last
  /// swap of an established session".
  private func checkPrecedence(_ peer: PublicKey, of handshake: HalfOpen, at now: Instant) throws(Drop) {
    // [DEC-45]
    if let last = lastSwaps[peer], last > handshake.swapsBefore { throw .superseded }
    guard let own = opening(to: peer), case .a3 = own.state else { return }
    // [DEC-43] [DEC-44]
    let enteredA3 = own.timeout.advanced(by: .zero - settings.handshakeTimeout)
    guard staticKey.publicKey < peer else {
      if now < enteredA3.advanced(by: settings.resendInterval) { throw .busy }
      return
    }
    // "Unless an earlier X3 of its attempt went unanswered until the timeout of A3: then it leaves
    // the peer's for three resend intervals, and does not send its own in the last of them."
    // [DEC-77]
    guard own.wasUnanswered else { throw .superseded }
    let start = max(enteredA3, handshake.firstX3 ?? now)
    own.lastX3 = min(own.lastX3, start.advanced(by: settings.resendInterval * 2))
    if now < start.advanced(by: settings.resendInterval * 3) { throw .busy }
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 6, Bob: ⊥ → B2 → S1.

extension ReferencePeer {
  // MARK: X1

  /// "Bob checks: length 1749; challenge policy; packet-nonce counter equals the last 8 bytes of
  /// the Hello *without* the 32-byte challenge response; both decryptions; kid_A ≠ 0." Section 14:
  /// "Checks that cost nothing come first."
  func receiveX1(_ packet: [UInt8], header: Header, from source: Address, at now: Instant) throws(Drop) {
    let hello = Array(packet[0..<Size.x1WithoutResponse])
    // [DEC-19] [XK-8] [XK-10]
    guard header.counter == integer(hello.suffix(8)) else { throw .notAuthentic }
    guard integer(hello[0..<4]) != 0 else { throw .malformed }
    // [CHAL-8]
    let isAllowed = try checkPolicy(
      hello, response: ChallengeBytes(packet[Size.x1WithoutResponse...]), from: source, at: now)
    guard isAllowed else { return readWaitingX1(at: now) }
    try readX1(hello, from: source, wasChallenged: helloPolicy == .allow ? nil : false, at: now)
  }

  /// Section 14, "Turns".
  func readWaitingX1(at now: Instant) {
    while let (hello, address) = gate.next(helloPolicy, at: now) {
      // A queued Hello has no caller that could use the reason for its drop.
      do { try readX1(hello, from: address, wasChallenged: true, at: now) } catch { continue }
    }
  }

  /// - Parameter wasChallenged: the budget that the Hello was charged to; nil if none.
  private func readX1(
    _ hello: [UInt8], from source: Address, wasChallenged: Bool?, at now: Instant
  ) throws(Drop) {
    // Section 14: "A new half-open handshake evicts one that waits for its X3", "the oldest of the
    // source that has most of them. Room is made before X1 is read."
    // [DEC-26] [FRAG-12]
    if halfOpen.count >= settings.halfOpenLimit {
      let heaviest = Source.heaviest(halfOpen.map { Source($0.address) })
      if let oldest = halfOpen.firstIndex(where: { heaviest.contains(Source($0.address)) }) {
        forget(halfOpen[oldest])
      }
    }
    let x1: ReadX1
    // [XK-9]
    do { x1 = try XK.readX1(hello, bob: staticKey, profile: profile, crypto: crypto) } catch { throw .notAuthentic }

    let found = try findRatchet(x1)
    // "Neither known: with flag π1 he stays silent, else he continues with the empty state."
    // [MODE-1] [XK-12]
    if found == nil, flags.helloRequiresRatchet { throw .unknownRatchet }
    if found == nil {
      // Section 14, "A store that is slow": "A Hello that names a state which the store is asked to
      // take is no stranger's".
      let names = [x1.rf1, x1.rf2].map { Fingerprint($0.span.bytes) }
      // [DEC-71]
      if names.contains(where: { name in storedNames[name].map { now < $0 } ?? false }) { throw .busy }
      // "Under the empty state he remembers the first for the handshake timeout."
      // [DEC-65]
      if !names[0].isEmpty { leftBehind[names[0]] = now.advanced(by: settings.handshakeTimeout) }
    }
    // [XK-13]
    try sendX2(to: x1, answering: found, from: source, wasChallenged: wasChallenged, at: now)
  }

  /// Applies section 8. Returns true if X1 is read now; otherwise it waits.
  private func checkPolicy(
    _ hello: [UInt8], response: ChallengeBytes, from source: Address, at now: Instant
  ) throws(Drop) -> Bool {
    let verdict = gate.judge(
      hello, response: response, from: source, policy: helloPolicy, isSilent: flags.helloRequiresRatchet,
      patience: settings.handshakeTimeout / 2, challenger: &challenger, at: now)
    switch verdict {
    case .allow: return true
    case .wait: return false
    case .drop: throw .overBudget
    case .challenge:
      // "He answers with type 9, header key id 0, unprotected, and drops the Hello before any public-key work." The
      // packet-nonce counter is random (section 4).
      // [CHAL-7]
      let challenge = challenger.challenge(source, pow: response.pow, at: now)
      emit(
        hello[0..<4] + challenge.bytes, type: .challenge, counter: randomInteger(), to: source, keyID: 0, headerKey: nil
      )
      throw .challenged
    }
  }

  /// The values that Bob has about the peer of a Hello.
  private typealias Found = (state: RatchetState, peer: PublicKey, revision: UInt64)

  /// "He looks up rf1 (unless zero) and, if that is unknown, rf2 (unless zero)." Section 14:
  /// "Before X2 he reads the row of the peer whose fingerprint he found."
  private func findRatchet(_ x1: ReadX1) throws(Drop) -> Found? {
    do {
      let offered = [x1.rf1, x1.rf2].map { Fingerprint($0.span.bytes) }
      // [DEC-67] [XK-11]
      guard offered.contains(where: { !$0.isEmpty }), let peer = try store.state(offered[0], offered[1])?.peer else {
        return nil
      }
      // [DEC-66]
      var row = try store.row(peer)
      // Section 14, "Attempts in both directions": "Where a Hello names both states that he holds, he answers under the
      // one with the smaller fingerprint."
      func used() -> RatchetState? {
        // [DEC-75]
        common(row.pair, offered: offered).min { $0.fingerprint.bytes.lexicographicallyPrecedes($1.fingerprint.bytes) }
      }
      // Section 14, "Attempts that are abandoned": "Whoever answers a Hello under one of the two states that it names
      // revokes the other, durably before X2 leaves, unless it is held."
      if let used = used(), let other = offered.first(where: { $0 != used.fingerprint }), !other.isEmpty,
        ![row.pair.state1, row.pair.state2].contains(where: { $0?.fingerprint == other })
      {
        // [DEC-63]
        row = try store.revoke(of: peer, name: other)
        revoke(other, of: peer)
      }
      return used().map { ($0, peer, row.revision) }
    } catch { throw .storeFailed }
  }

  private func common(_ pair: RatchetPair, offered: [Fingerprint]) -> [RatchetState] {
    [pair.state1, pair.state2].compactMap(\.self).filter { !$0.isEmpty && offered.contains($0.fingerprint) }
  }

  /// Section 14, "Attempts that are abandoned": "He takes no X3 and no K2 any more that leads to that state."
  private func revoke(_ fingerprint: Fingerprint, of peer: PublicKey) {
    for other in halfOpen where other.ratchetPeer == peer { other.revoked.insert(fingerprint) }
    for session in sessions where session.peerKey == peer {
      if case .r1 = session.state { session.revoked.insert(fingerprint) }
    }
  }

  /// X2: → B2. It is "sent once, never resent" (section 11).
  private func sendX2(
    to x1: ReadX1, answering found: Found?, from source: Address, wasChallenged: Bool?, at now: Instant
  ) throws(Drop) {
    let x2: WrittenX2
    do {
      x2 = try XK.writeX2(to: x1, using: found?.state ?? .empty, profile, newKeyID: newKeyID)
    } catch { throw .notAuthentic }
    // [XK-14]
    let handshake = HalfOpen(
      address: source, kidA: x1.kidA, ratchetPeer: found?.peer, revision: found?.revision, swapsBefore: swapCount,
      x2: x2, headerKeys: x1.headerKeys,
      expiry: now.advanced(by: settings.handshakeTimeout))
    handshake.wasChallenged = wasChallenged
    halfOpen.append(handshake)
    // "Header: key id kid_A, protected with hk_toAlice."
    // [DEC-28] [PKT-7] [TIME-3] [XK-17]
    emit(x2.packet, type: .x2, counter: x2.counter, to: source, keyID: x1.kidA, headerKey: handshake.headerKeys.send)
  }

  // MARK: X3

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

  /// "If it accepts he restores the states stored for that peer", checks the state used, "stores (new, none) by
  /// compare-and-swap, enters S1 with send counter 1, and sends C1 with counter 0."
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

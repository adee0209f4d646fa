// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 6, Bob: ⊥ → B2 → S1.

extension ReferencePeer {
  // MARK: X1

  /// "Bob checks: length 1749; challenge policy; packet-nonce counter equals the last 8 bytes of the Hello *without* the
  /// 32-byte challenge response; both decryptions; kid_A ≠ 0." Section 14: "Checks that cost nothing come first."
  func receiveX1(_ packet: [UInt8], _ header: Header, from source: Address, at now: Instant) throws(Drop) {
    let hello = Array(packet[0..<Size.x1WithoutResponse])
    guard header.counter == integer(hello.suffix(8)) else { throw .notAuthentic }
    guard integer(hello[0..<4]) != 0 else { throw .malformed }
    try checkPolicy(hello, ChallengeBytes(packet[Size.x1WithoutResponse...]), from: source, at: now)
    // Section 14: "A new half-open handshake evicts the oldest that waits for its X3. Room is made before X1 is read."
    if halfOpen.count >= settings.halfOpenLimit { halfOpen.removeFirst() }
    let x1: ReadX1
    do { x1 = try XK.readX1(hello, bob: staticKey, profile, crypto) } catch { throw .notAuthentic }

    let found = try findRatchet(x1)
    // "Neither known: with flag π1 he stays silent, else he continues with the empty state."
    if found == nil, flags.helloRequiresRatchet { throw .unknownRatchet }
    let first = Fingerprint(x1.rf1.span.bytes)
    if found?.state.fingerprint != first { forget(first, of: found?.peer) }
    try sendX2(to: x1, using: found?.state ?? .empty, of: found?.peer, source, at: now)
  }

  /// Section 8.
  private func checkPolicy(
    _ hello: [UInt8], _ response: ChallengeBytes, from source: Address, at now: Instant
  ) throws(Drop) {
    let verdict = gate.judge(
      response, from: source, helloPolicy, isSilent: flags.helloRequiresRatchet, &challenger, at: now)
    switch verdict {
    case .allow: return
    case .drop: throw .overBudget
    case .challenge:
      // "He answers with type 9, header key id 0, unprotected, and drops the Hello before any public-key work." The
      // packet-nonce counter is random (section 4).
      let challenge = challenger.challenge(source, pow: response.pow, at: now)
      emit(hello[0..<4] + challenge.bytes, .challenge, randomInteger(), to: source, 0, nil)
      throw .challenged
    }
  }

  /// "He looks up rf1 (unless zero) and, if that is unknown, rf2 (unless zero)." Section 14: "Before X2 he reads the row
  /// of the peer whose fingerprint he found."
  private func findRatchet(_ x1: ReadX1) throws(Drop) -> (state: RatchetState, peer: PublicKey)? {
    do {
      let offered = [x1.rf1, x1.rf2].map { Fingerprint($0.span.bytes) }
      for fingerprint in offered where !fingerprint.isEmpty {
        guard let peer = try store.state(fingerprint)?.peer else { continue }
        var common = common(try store.pair(peer), offered)
        // Section 14, "Attempts that are given up": "When Bob answers a Hello under its second fingerprint, his store
        // remembers the first, durably before X2 leaves, unless it is held."
        if !common.isEmpty, !offered[0].isEmpty, !common.contains(where: { $0.fingerprint == offered[0] }) {
          common = self.common(try store.giveUp(peer, offered[0]), offered)
        }
        // Section 14, "Attempts in both directions": "Where a Hello names both states that he holds, he answers under the
        // one with the smaller fingerprint."
        return common.min { $0.fingerprint.bytes.lexicographicallyPrecedes($1.fingerprint.bytes) }.map { ($0, peer) }
      }
      return nil
    } catch { throw .storeFailed }
  }

  private func common(_ pair: RatchetPair, _ offered: [Fingerprint]) -> [RatchetState] {
    [pair.state1, pair.state2].compactMap(\.self).filter { !$0.isEmpty && offered.contains($0.fingerprint) }
  }

  /// Section 14, "Attempts that are given up": "He takes no X3 and no K2 any more that leads to the state of its first
  /// fingerprint. For each handshake and session he remembers the latest eight."
  private func forget(_ fingerprint: Fingerprint, of peer: PublicKey?) {
    guard !fingerprint.isEmpty else { return }
    func remember(_ list: [Fingerprint]) -> [Fingerprint] {
      list.contains(fingerprint) ? list : (list + [fingerprint]).suffix(8)
    }
    for other in halfOpen where other.ratchetPeer == peer { other.givenUp = remember(other.givenUp) }
    for session in sessions where session.peerKey == peer { session.givenUp = remember(session.givenUp) }
  }

  /// X2: → B2. It is "sent once, never resent" (section 11).
  private func sendX2(
    to x1: ReadX1, using used: RatchetState, of peer: PublicKey?, _ source: Address, at now: Instant
  ) throws(Drop) {
    let x2: WrittenX2
    do { x2 = try XK.writeX2(to: x1, using: used, profile, newKeyID: newKeyID) } catch { throw .notAuthentic }
    let handshake = HalfOpen(
      address: source, kidA: x1.kidA, ratchetPeer: peer, x2: x2, headerKeys: x1.headerKeys,
      expiry: now.advanced(by: settings.handshakeTimeout))
    halfOpen.append(handshake)
    // "Header: key id kid_A, protected with hk_toAlice."
    emit(x2.packet, .x2, x2.counter, to: source, x1.kidA, handshake.headerKeys.send)
  }

  // MARK: X3

  /// "A half-open handshake is consumed by its first complete X3, whatever comes of it"; section 14: but for a store that
  /// fails, and for an attempt of one's own that has precedence for now.
  func receiveX3(_ packet: [UInt8], _ handshake: HalfOpen, at now: Instant) throws(Drop) {
    guard Size.x3.contains(packet.count) else { throw .malformed }
    do {
      try completeX3(packet, handshake, at: now)
    } catch {
      if error != .storeFailed, error != .busy { halfOpen.removeAll { $0 === handshake } }
      throw error
    }
  }

  private func completeX3(_ packet: [UInt8], _ handshake: HalfOpen, at now: Instant) throws(Drop) {
    // "Bob, on X3: decrypts, checks S_A,"
    let x3: ReadX3
    do { x3 = try XK.readX3(packet, answering: handshake.x2) } catch { throw .notAuthentic }
    let peer = x3.alice.encoded
    if handshake.givenUp.contains(x3.outcome.ratchet.fingerprint) { throw .superseded }
    try checkPrecedence(peer, at: now)
    // "asks the application to accept."
    let question = Question(
      peer: peer, identity: x3.identity, address: handshake.address, ratchetPeer: handshake.ratchetPeer)
    switch accept(question) {
    case .reject(let silently):
      sendD(handshake, x3, silently: silently)
      report(.withdrawn(peer))
      throw .refused
    case .accept(let flags):
      do {
        try take(handshake, x3, flags, at: now)
      } catch {
        report(.withdrawn(peer))
        throw error
      }
    }
  }

  /// "If it accepts he restores the states stored for that peer", checks the state used, "stores (new, none) by
  /// compare-and-swap, enters S1 with send counter 1, and sends C1 with counter 0."
  private func take(_ handshake: HalfOpen, _ x3: ReadX3, _ flags: Flags, at now: Instant) throws(Drop) {
    let peer = x3.alice.encoded
    let held: RatchetPair
    do { held = try store.pair(peer) } catch { throw .storeFailed }
    guard let change = afterX3(held, used: handshake.x2.used, new: x3.outcome.ratchet, flags) else {
      sendD(handshake, x3, silently: flags.responderSilentlyRejects)
      throw .refused
    }
    let isSwapped: Bool
    do { isSwapped = try store.swap(peer, held, change.pair) } catch { throw .storeFailed }
    // Section 9: "A failed comparison ends the session instance (another one won)."
    guard isSwapped else { throw .superseded }

    halfOpen.removeAll { $0 === handshake }
    let session = makeSession(handshake, x3, flags)
    session.ratchet = change.pair
    session.headerKeys = handshake.headerKeys
    session.current = SessionKey(
      x3.outcome, byInitiator: false, localID: handshake.x2.kidB, remoteID: handshake.kidA, since: 0)
    session.handshakes += 1
    session.timeout = now.advanced(by: settings.rekeyTimeout)
    session.resend = now.advanced(by: settings.resendInterval)
    if let chainLength = change.downgradedFrom { downgraded(session, from: chainLength) }
    established(session)
    sendControl(.c1, on: session, under: session.current)
  }

  /// A new session, or one that this side is opening itself, which then goes on as Bob's (section 14). "Bob's session
  /// begins at the address that X1 came from."
  private func makeSession(_ handshake: HalfOpen, _ x3: ReadX3, _ flags: Flags) -> Session {
    if let own = opening(to: x3.alice.encoded) {
      own.forgetHandshake()
      (own.isInitiator, own.identity, own.flags) = (false, x3.identity, flags)
      (own.address, own.state) = (handshake.address, .s1)
      return own
    }
    let session = Session(
      id: nextSessionID(), peer: x3.alice, isInitiator: false, identity: x3.identity, flags: flags,
      address: handshake.address, state: .s1, reassembly: Reassembly(slots: settings.reassemblySlots))
    sessions.append(session)
    return session
  }

  /// "On rejection he sends D with counter 0 under kek_toAlice unless flag π4 says silence."
  private func sendD(_ handshake: HalfOpen, _ x3: ReadX3, silently: Bool) {
    guard !silently else { return }
    let d = crypto.seal(
      x3.outcome.kek.seen(byInitiator: false).send, nonce(PacketType.d.rawValue, 0), [])
    emit(d, .d, 0, to: handshake.address, handshake.kidA, handshake.headerKeys.send)
  }

  // MARK: Both open at once

  /// The session with `peer` that this side is still opening.
  func opening(to peer: PublicKey) -> Session? { sessions.first { $0.peerKey == peer && !$0.canSend } }

  /// Section 14, "A peer on the way to another key": the side with the smaller static key is preferred. "A handshake of
  /// the peer that has come to a complete X3 is taken in the place of one's own attempt while that is in A1. In A3 the
  /// preferred side leaves the peer's handshake; the other leaves it for one resend interval and then takes it."
  private func checkPrecedence(_ peer: PublicKey, at now: Instant) throws(Drop) {
    guard let own = opening(to: peer), case .a3 = own.state else { return }
    if staticKey.publicKey < peer { throw .superseded }
    let enteredA3 = own.timeout.advanced(by: .zero - settings.handshakeTimeout)
    if now < enteredA3.advanced(by: settings.resendInterval) { throw .busy }
  }
}

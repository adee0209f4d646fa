// SPDX-License-Identifier: Apache-2.0

/// The re-key: S2 → R1 → S1 for its initiator, S2 → R2 → S2 for its responder (section 7).
extension Endpoint {
  /// The static keys of both sides, to be completed where the work is done: the peer's is decoded there.
  private func staticKeys(_ session: Session) -> @Sendable () throws(AuthenticationFailure) -> RekeyHandshake.StaticKeys
  {
    let (own, peer, provider) = (configuration.staticKey, session.peer, provider)
    return { () throws(AuthenticationFailure) in
      RekeyHandshake.StaticKeys(own: own, peer: try provider.receivedKey(peer.bytes))
    }
  }

  /// S2's timer, or the use of its key, asks for a new key.
  mutating func beginRekey(_ session: Session, at now: Instant) {
    guard session.pending == nil else {
      // The peer's K1 is being worked on, which comes to the same. Look again soon.
      session.stateDeadline = now.advanced(by: settings.resendInterval)
      return
    }
    // If the work is never done, the timer begins it again.
    session.stateDeadline = now.advanced(by: settings.handshakeTimeout)
    offerKeyID(session)
    let (keyID, keys, ratchet, provider) = (
      session.offeredKeyID, staticKeys(session), session.ratchet.state1, provider
    )
    ask(.rekey, then: .rekey(session)) { () throws(AuthenticationFailure) in
      .rekey(try RekeyHandshake.initiation(keyID: keyID, keys: keys(), ratchet: ratchet, provider: provider))
    }
    session.pendingDeadline = session.stateDeadline
  }

  private mutating func offerKeyID(_ session: Session) {
    withdrawKeyID(session)
    session.offeredKeyID = drawKeyID()
    keyIDs.set(session.offeredKeyID, to: .session(session))
  }

  private mutating func withdrawKeyID(_ session: Session) {
    if session.offeredKeyID != .none { keyIDs.remove(session.offeredKeyID) }
    session.offeredKeyID = .none
  }

  /// S2 → R1.
  mutating func rekeyComputed(_ session: Session, _ initiation: RekeyHandshake.Initiation, at now: Instant) {
    defer { schedule(session) }
    guard case .s2 = session.state else { return }
    session.state = .r1(initiation)
    session.stateDeadline = now.advanced(by: settings.rekeyTimeout)
    session.resendDeadline = now.advanced(by: settings.resendInterval)
    sendControl(.rekeyInit, initiation.packet, on: session, under: session.currentKey)
  }

  /// K1 is accepted in S2, and in R1 by the one who was responder in XK: that breaks the tie.
  mutating func rekeyInitReceived(
    _ session: Session, _ key: SessionKey, _ packet: RawSpan, at now: Instant
  ) -> Reception {
    switch session.state {
    case .s2 where key === session.currentKey: break
    case .r1 where key === session.currentKey && session.role == .responder: break
    default: return .dropped(.implausible)
    }
    guard session.pending == nil else { return .dropped(.busy) }
    let inner = packet.extracting(0..<RekeyHandshake.innerSize).array
    let (keys, ratchet) = (staticKeys(session), session.ratchet.state1)
    let (profile, provider) = (configuration.profile, provider)
    ask(.rekeyReceived, then: .rekeyReceived(session)) { () throws(AuthenticationFailure) in
      .rekeyReceived(
        try RekeyHandshake.response(
          to: inner.rawBytes, keys: keys(), ratchet: ratchet, profile: profile, provider: provider))
    }
    // S2 lasts long. A request that is never answered must not keep the next K1 out.
    session.pendingDeadline = now.advanced(by: settings.handshakeTimeout)
    return .handled
  }

  /// K1 was good and K2 is computed. Before it leaves, the new ratchet state is stored beside the old one.
  mutating func rekeyRead(_ session: Session, _ response: RekeyHandshake.Response, at now: Instant) {
    defer { schedule(session) }
    var response = response
    if session.answeredKeyID != .none { keyIDs.remove(session.answeredKeyID) }
    let keyID = drawKeyID()
    session.answeredKeyID = keyID
    keyIDs.set(keyID, to: .session(session))
    let (packet, secrets) = response.finish(keyID: keyID)
    let held = session.ratchet
    let answer = Continuation.RekeyAnswer(
      packet: packet, localID: keyID, remoteID: response.initiatorKeyID, secrets: secrets)
    ask(
      .compareAndSwap(
        peer: session.peer, expected: held, new: RatchetPair(secrets.ratchet, held.state1)),
      then: .storedRekeyAnswer(session, answer))
    session.pendingDeadline = now.advanced(by: settings.handshakeTimeout)
  }

  /// S2 or R1 → R2.
  mutating func enterR2(_ session: Session, _ answer: Continuation.RekeyAnswer, at now: Instant) {
    session.ratchet = RatchetPair(answer.secrets.ratchet, session.ratchet.state1)
    withdrawKeyID(session)
    // Making room for the new key erases the previous one (section 7).
    retire(session.otherKey, of: session)
    session.answeredKeyID = .none
    session.otherKey = SessionKey(
      answer.secrets, role: .responder, localID: answer.localID, remoteID: answer.remoteID,
      firstCounter: session.sendCounter)
    session.state = .r2(answer: answer.packet)
    session.stateDeadline = now.advanced(by: settings.rekeyTimeout)
    session.resendDeadline = now.advanced(by: settings.resendInterval)
    sendControl(.rekeyComplete, answer.packet, on: session, under: session.currentKey)
  }

  /// K2 answers our K1.
  mutating func rekeyCompleteReceived(_ session: Session, _ key: SessionKey, _ packet: RawSpan) -> Reception {
    guard case .r1(let initiation) = session.state, key === session.currentKey else { return .dropped(.implausible) }
    guard session.pending == nil else { return .dropped(.busy) }
    let inner = packet.extracting(0..<RekeyHandshake.innerSize).array
    let (keys, profile, provider) = (staticKeys(session), configuration.profile, provider)
    ask(.rekeyCompleted, then: .rekeyCompleted(session)) { () throws(AuthenticationFailure) in
      let (keyID, secrets) = try RekeyHandshake.completion(
        of: initiation, inner.rawBytes, keys: keys(), profile: profile, provider: provider)
      return .rekeyCompleted(keyID, secrets)
    }
    return .handled
  }

  /// K2 was good. Before C1 leaves, the new ratchet state takes the place of all others.
  mutating func rekeyCompletionRead(
    _ session: Session, _ keyID: KeyID, _ secrets: SessionSecrets, at now: Instant
  ) {
    guard case .r1 = session.state else { return }
    // The peer has begun anew since it answered, and forgets what came of K1. R1 comes to its timeout.
    guard !session.givenUp.contains(secrets.ratchet.fingerprint) else { return drop(.superseded) }
    ask(
      .compareAndSwap(
        peer: session.peer, expected: session.ratchet, new: RatchetPair(secrets.ratchet)),
      then: .storedRekeyCompletion(session, keyID, secrets))
    schedule(session)
  }

  /// R1 → S1, and C1 under the new key.
  mutating func rekeyStored(_ session: Session, _ keyID: KeyID, _ secrets: SessionSecrets, at now: Instant) {
    guard case .r1 = session.state else { return }
    session.ratchet = RatchetPair(secrets.ratchet)
    retire(session.otherKey, of: session)
    session.otherKey = session.currentKey
    session.currentKey = SessionKey(
      secrets, role: .initiator, localID: session.offeredKeyID, remoteID: keyID,
      firstCounter: session.sendCounter)
    session.offeredKeyID = .none
    session.state = .s1
    session.stateDeadline = now.advanced(by: settings.rekeyTimeout)
    session.resendDeadline = now.advanced(by: settings.resendInterval)
    sendControl(.keyConfirm, on: session, under: session.currentKey)
  }

  /// R2 → S2, and C2 under the new key.
  mutating func rekeyConfirmed(_ session: Session, at now: Instant) {
    guard case .r2 = session.state else { return }
    session.ratchet = RatchetPair(session.ratchet.state1)
    swap(&session.currentKey, &session.otherKey)
    enterS2(session, at: now)
    rekeyed(session)
    sendControl(.acknowledge, on: session, under: session.currentKey)
  }

  mutating func rekeyed(_ session: Session) {
    session.statistics.rekeys += 1
    events.push(.rekeyed(session.id, chainLength: session.ratchet.state1.chainLength))
  }
}

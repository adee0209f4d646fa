// SPDX-License-Identifier: Apache-2.0

/// What both sides do once they share a key: C1, C2, D, and the end (sections 6 and 11).
extension Endpoint {
  /// A control packet is complete. Its tag is checked under kek before anything else happens.
  mutating func controlReceived(
    _ packet: inout MutableRawSpan, _ header: FragmentHeader, _ type: PacketType, _ key: SessionKey,
    for session: Session, at now: Instant
  ) -> Reception {
    let size = type == .rekeyInit || type == .rekeyComplete ? PacketSize.rekey : PacketSize.tag
    guard packet.byteCount == size else { return .dropped(.malformed) }
    guard key.makeExchangeReceivingKey(provider).open(&packet, nonce: header.nonce, authenticating: RawSpan()) else {
      return .dropped(.notAuthentic)
    }
    guard session.replayWindow.accept(header.counter) else { return .dropped(.replayed) }
    defer { schedule(session) }
    switch type {
    case .keyConfirm: return keyConfirmReceived(session, key)
    case .acknowledge: return acknowledgeReceived(session, key, at: now)
    case .rejected: return rejectedReceived(session, key)
    case .rekeyInit: return rekeyInitReceived(session, key, packet.bytes, at: now)
    case .rekeyComplete: return rekeyCompleteReceived(session, key, packet.bytes)
    default: return .dropped(.implausible)
    }
  }

  /// C1: the peer holds the key.
  private mutating func keyConfirmReceived(_ session: Session, _ key: SessionKey) -> Reception {
    switch session.state {
    case .a3 where key === session.otherKey:
      return dropOlderRatchet(session, then: .storedConfirmation(session))
    case .r2 where key === session.otherKey:
      return dropOlderRatchet(session, then: .storedRekeyConfirmation(session))
    case .s1 where key === session.currentKey, .s2 where key === session.currentKey,
      .r1 where key === session.currentKey, .r2 where key === session.currentKey:
      sendControl(.acknowledge, on: session, under: key)
      return .handled
    default:
      return .dropped(.implausible)
    }
  }

  /// The peer has the new ratchet state too, so the older one can go. The transition follows when it has gone.
  private mutating func dropOlderRatchet(_ session: Session, then continuation: Continuation) -> Reception {
    guard session.pending == nil else { return .dropped(.busy) }
    let held = session.ratchet
    ask(
      .compareAndSwap(peer: session.peer, expected: held, new: RatchetPair(held.state1)),
      then: continuation)
    return .handled
  }

  /// A3 → S2.
  mutating func confirmed(_ session: Session, at now: Instant) {
    guard case .a3 = session.state else { return }
    guard !hasNewerSession(with: session.peer, than: session.lastSwap) else { return end(session, .replaced) }
    session.ratchet = RatchetPair(session.ratchet.state1)
    session.currentKey = session.otherKey
    session.otherKey = nil
    enterS2(session, at: now)
    replaceOthers(with: session)
    announce(session)
    sendControl(.acknowledge, on: session, under: session.currentKey)
  }

  /// C2: the peer uses the key.
  private mutating func acknowledgeReceived(_ session: Session, _ key: SessionKey, at now: Instant) -> Reception {
    guard case .s1 = session.state, key === session.currentKey else { return .handled }
    // The state of an attempt in the other direction was kept until now.
    if session.ratchet.state2 != nil { return dropOlderRatchet(session, then: .storedAcknowledgement(session)) }
    acknowledged(session, at: now)
    return .handled
  }

  /// S1 → S2.
  mutating func acknowledged(_ session: Session, at now: Instant) {
    guard case .s1 = session.state else { return }
    session.ratchet = RatchetPair(session.ratchet.state1)
    enterS2(session, at: now)
    if session.otherKey == nil {
      events.push(.confirmed(session.id))
    } else {
      rekeyed(session)
    }
  }

  /// D: the application of the responder does not want us.
  private mutating func rejectedReceived(_ session: Session, _ key: SessionKey) -> Reception {
    guard case .a3 = session.state, key === session.otherKey else { return .dropped(.implausible) }
    end(session, .rejected)
    return .handled
  }

  mutating func enterS2(_ session: Session, at now: Instant) {
    session.state = .s2
    session.peerPoint = nil
    session.isBackingOff = false
    session.resendDeadline = .distantFuture
    let jitter = UInt64(clamping: settings.rekeyJitter.nanoseconds)
    let random = provider.randomInteger(UInt64.self) % (jitter + 1)
    session.stateDeadline = now.advanced(by: settings.rekeyAfter - .nanoseconds(Int64(random)))
  }

  /// Reports a handshake that went on with the empty ratchet state although another of this chain length was held.
  mutating func reportDowngrade(_ session: Session, from chainLength: UInt64) {
    session.downgradedFrom = chainLength
    events.push(.downgraded(session.id, peer: session.peer, heldChainLength: chainLength))
  }

  mutating func announce(_ session: Session) {
    statistics.sessionsEstablished += 1
    events.push(
      .established(
        session.id,
        Establishment(
          peer: session.peer, role: session.role, identity: session.identity, address: session.address,
          chainLength: session.ratchet.state1.chainLength, downgradedFrom: session.downgradedFrom,
          acceptance: session.acceptance)))
  }

  /// Erases a key that has to make room, takes its id back, and drops what of its packets is incomplete.
  mutating func retire(_ key: SessionKey?, of session: Session) {
    guard let key else { return }
    keyIDs.remove(key.localID)
    session.reassembly.removeAll(under: key.localID)
  }

  /// Takes the session's key ids back and erases its keys, those of headers too.
  mutating func releaseKeys(_ session: Session) {
    let keyIDs = [
      session.offeredKeyID, session.answeredKeyID, session.currentKey?.localID, session.otherKey?.localID,
    ]
    for case .some(let keyID) in keyIDs where keyID != .none { self.keyIDs.remove(keyID) }
    session.offeredKeyID = .none
    session.answeredKeyID = .none
    expandedKeys.remove(session)
    session.currentKey = nil
    session.otherKey = nil
    session.setHeaderKeys(nil)
  }

  mutating func end(_ session: Session, _ reason: EndReason) {
    guard sessions[session.id] === session else { return }
    forgetRequest(of: session)
    releaseKeys(session)
    session.reassembly.removeAll()
    timers.cancel(session)
    withdraw(session)
    sessions.remove(session.id)
    events.push(.ended(session.id, reason))
  }
}

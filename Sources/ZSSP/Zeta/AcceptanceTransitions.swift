// SPDX-License-Identifier: Apache-2.0

/// Bob's transitions from B2 to S1: what becomes of X3 (sections 6 and 11).
extension Endpoint {
  /// X3 is complete. The handshake takes no other, whatever comes of this one (section 6).
  mutating func completionReceived(_ handshake: HalfOpenHandshake, _ packet: [UInt8]) -> Reception {
    guard case .waiting(let response) = handshake.stage else { return .dropped(.busy) }
    let sizes = PacketSize.completionWithoutIdentity...PacketSize.largestCompletion
    guard sizes.contains(packet.count) else { return .dropped(.malformed) }
    handshake.stage = .readingCompletion(response)
    handshake.reassembly.removeAll()
    let provider = provider
    ask(.completionReceived, then: .halfOpen(handshake)) { () throws(AuthenticationFailure) in
      .completionReceived(
        try ResponderHandshake.completion(of: response, packet.rawBytes, provider: provider))
    }
    return .handled
  }

  /// Whether a handshake may go on beside what this side is opening to the same peer.
  mutating func hasPrecedence(
    _ handshake: HalfOpenHandshake, _ response: ResponderHandshake.Response,
    _ completion: ResponderHandshake.Completion, at now: Instant
  ) -> Bool {
    guard !handshake.givenUp.contains(completion.secrets.ratchet.fingerprint) else {
      remove(handshake, .superseded)
      return false
    }
    switch judgeRival(completion.initiator.encoded, at: now) {
    case .proceed: return true
    case .refuse: remove(handshake, .superseded)
    case .wait:
      drop(.busy)
      withdraw(handshake, .busy)
      handshake.stage = .waiting(response)
    }
    return false
  }

  /// The application has decided.
  mutating func accepted(_ handshake: HalfOpenHandshake, _ decision: AcceptDecision) {
    guard case .asking(let response, let completion) = handshake.stage else { return }
    switch decision {
    case .accept(let flags):
      handshake.stage = .loading(response, completion, flags)
      ask(.load(peer: completion.initiator.encoded), then: .halfOpen(handshake))
    case .reject(let silently):
      reject(handshake, completion, silently: silently)
    }
  }

  /// Does the ratchet state that was used belong to this peer? If it is neither of the peer's, the handshake goes on
  /// only if the state used is the empty one and π3 allows it.
  ///
  /// A newer state than the one used is that of an attempt in the other direction, which the peer may have taken just
  /// as we take this one. It stays until the peer has confirmed, lest the two stores have no state in common (section 14).
  mutating func judge(
    _ handshake: HalfOpenHandshake, _ response: ResponderHandshake.Response,
    _ completion: ResponderHandshake.Completion, _ flags: SecurityFlags, _ held: RatchetPair
  ) {
    let ratchet = completion.secrets.ratchet
    let change: HalfOpenHandshake.Change
    if held.state1 == ratchet {
      // It is there already, from a swap whose answer was that the store failed.
      change = .init(new: held, downgradedFrom: nil)
    } else if held.state1 == response.used {
      change = .init(new: RatchetPair(ratchet), downgradedFrom: nil)
    } else if held.state2 == response.used {
      change = .init(new: RatchetPair(ratchet, held.state1), downgradedFrom: nil)
    } else if response.used.isEmpty, !flags.contains(.responderDisallowsDowngrade) {
      change = .init(new: RatchetPair(ratchet), downgradedFrom: held.state1.chainLength)
    } else {
      return reject(handshake, completion, silently: flags.contains(.responderRejectsSilently))
    }
    handshake.stage = .storing(response, completion, flags, change)
    ask(
      .compareAndSwap(peer: completion.initiator.encoded, expected: held, new: change.new),
      then: .halfOpen(handshake))
  }

  /// Sends D with counter 0 unless in silence, and forgets the handshake.
  private mutating func reject(
    _ handshake: HalfOpenHandshake, _ completion: ResponderHandshake.Completion, silently: Bool
  ) {
    if !silently {
      var packet = [UInt8](repeating: 0, count: PacketSize.tag)
      let key = provider.packetKey(completion.secrets.exchangeKeys.sending(.responder))
      packet.withMutableBytes {
        key.seal(RawSpan(), nonce: Nonce(.rejected, 0), authenticating: RawSpan(), into: &$0)
      }
      sendFragments(
        of: packet.rawBytes, .rejected, 0, to: handshake.address, handshake.initiatorKeyID,
        under: handshake.headerKeys?.makeSendingKey(provider))
    }
    remove(handshake, .refused)
  }

  /// The peer is accepted and the new ratchet state stored: the session begins with C1.
  mutating func enterS1(
    _ handshake: HalfOpenHandshake, _ completion: ResponderHandshake.Completion, _ flags: SecurityFlags,
    _ change: HalfOpenHandshake.Change, at now: Instant
  ) {
    guard !hasNewerSession(with: completion.initiator.encoded, than: handshake.lastSwap) else {
      return remove(handshake, .superseded)
    }
    let session = makeSession(handshake, completion, flags)
    session.acceptance = handshake.acceptance
    session.ratchet = change.new
    session.lastSwap = handshake.lastSwap
    session.setHeaderKeys(handshake.headerKeys)
    session.currentKey = SessionKey(
      completion.secrets, role: .responder, localID: handshake.keyID, remoteID: handshake.initiatorKeyID,
      firstCounter: 0)
    session.statistics.handshakes += 1
    let keyID = handshake.keyID
    remove(handshake)
    keyIDs.set(keyID, to: .session(session))
    session.stateDeadline = now.advanced(by: settings.rekeyTimeout)
    session.resendDeadline = now.advanced(by: settings.resendInterval)
    if let chainLength = change.downgradedFrom { reportDowngrade(session, from: chainLength) }
    replaceOthers(with: session)
    announce(session)
    sendControl(.keyConfirm, on: session, under: session.currentKey)
    schedule(session)
  }

  /// The session that a handshake of the peer comes to: the one that this side is opening itself, which then goes on
  /// in the role of the responder, or a new one.
  private mutating func makeSession(
    _ handshake: HalfOpenHandshake, _ completion: ResponderHandshake.Completion, _ flags: SecurityFlags
  ) -> Session {
    if let session = opening(to: completion.initiator.encoded) {
      forgetHandshake(session)
      session.become(.responder, identity: completion.identity, flags: flags, address: handshake.address)
      return session
    }
    let settings = settings
    let session = sessions.add { id in
      Session(
        id: id, role: .responder, peer: completion.initiator.encoded, identity: completion.identity, flags: flags,
        address: handshake.address, state: .s1, settings: settings)
    }
    enroll(session)
    return session
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Bob's transitions: ⊥ → B2 → S1 (sections 6 and 11).
extension Endpoint {
  /// X1 is complete. What follows costs public-key work, so the cheap checks come first.
  mutating func helloReceived(
    _ packet: [UInt8], _ header: FragmentHeader, from source: Address, at now: Instant
  ) -> Reception {
    let hello = packet.rawBytes.extracting(0..<PacketSize.helloWithoutChallenge)
    guard header.counter == hello.load(UInt64.self, at: hello.byteCount - 8) else { return .dropped(.notAuthentic) }
    guard KeyID(hello) != .none else { return .dropped(.malformed) }
    switch judge(packet, from: source, at: now) {
    case .admit: break
    case .drop: return .dropped(.overBudget)
    case .challenge: return .dropped(.challenged)
    }
    guard hasRoomForOwner, makeRoomForHandshake() else { return .dropped(.busy) }

    let handshake = HalfOpenHandshake(address: source, settings: settings, at: now)
    halfOpen.append(handshake)
    timers.set(handshake, to: handshake.nextDeadline)
    let (staticKey, profile, provider) = (configuration.staticKey, configuration.profile, provider)
    ask(.helloReceived, then: .halfOpen(handshake)) { () throws(AuthenticationFailure) in
      let hello = packet.rawBytes.extracting(0..<PacketSize.helloWithoutChallenge)
      return .helloReceived(
        try ResponderHandshake.hello(hello, staticKey: staticKey, profile: profile, provider: provider))
    }
    return .handled
  }

  /// Evicts the oldest handshake that waits for its X3, if there are too many. Those that are being worked on stay.
  private mutating func makeRoomForHandshake() -> Bool {
    if halfOpen.count < settings.halfOpenLimit { return true }
    guard let oldest = halfOpen.first(where: \.isWaiting) else { return false }
    remove(oldest, .evicted)
    return true
  }

  mutating func remove(_ handshake: HalfOpenHandshake, _ reason: DropReason) {
    drop(reason)
    withdraw(handshake, reason)
    remove(handshake)
  }

  /// Tells the application, if it was asked, that no session comes of it.
  mutating func withdraw(_ handshake: HalfOpenHandshake, _ reason: DropReason) {
    guard let acceptance = handshake.acceptance.take() else { return }
    events.push(.withdrawn(acceptance, reason))
  }

  /// Forgets a handshake.
  mutating func remove(_ handshake: HalfOpenHandshake) {
    if let pending = handshake.pending { continuations[pending] = nil }
    handshake.pending = nil
    if handshake.keyID != .none { keyIDs.remove(handshake.keyID) }
    timers.cancel(handshake)
    halfOpen.removeAll { $0 === handshake }
  }

  /// Public-key work on a half-open handshake is done.
  mutating func workDone(_ handshake: HalfOpenHandshake, _ outcome: PublicKeyResult.Outcome, at now: Instant) {
    switch (handshake.stage, outcome) {
    case (.readingHello, .helloReceived(let hello)):
      handshake.initiatorKeyID = hello.initiatorKeyID
      if hello.fingerprint1.isEmpty {
        firstLookUpFailed(handshake, hello)
      } else {
        handshake.stage = .lookingUp(hello, second: false)
        ask(.lookUp(hello.fingerprint1), then: .halfOpen(handshake))
      }
    case (.responding(let hello), .response(let response)):
      enterB2(handshake, hello, response)
    case (.readingCompletion(let response), .completionReceived(let completion)):
      guard hasPrecedence(handshake, response, completion, at: now) else { return }
      handshake.stage = .asking(response, completion)
      let id = suspend(.halfOpen(handshake))
      handshake.acceptance = id
      requests.push(
        .accept(
          id,
          AcceptRequest(
            peer: completion.initiator.encoded, identity: completion.identity, address: handshake.address,
            hasRatchet: !response.used.isEmpty, ratchetPeer: handshake.ratchetPeer)))
    default:
      remove(handshake, .notAuthentic)
    }
  }

  /// The store answered for a half-open handshake.
  mutating func storeAnswered(_ handshake: HalfOpenHandshake, _ answer: StoreAnswer, at now: Instant) {
    switch (handshake.stage, answer) {
    case (.lookingUp(let hello, _), .found(_, let peer)):
      handshake.ratchetPeer = peer
      handshake.stage = .verifying(hello)
      ask(.load(peer: peer), then: .halfOpen(handshake))
    case (.verifying(let hello), .pair(let held)):
      respond(handshake, hello, to: held)
    case (.lookingUp(let hello, second: false), .unknown):
      firstLookUpFailed(handshake, hello)
    case (.lookingUp(let hello, second: true), .unknown):
      respondToUnknown(handshake, hello)
    case (.loading(let response, let completion, let flags), .pair(let held)):
      guard hasPrecedence(handshake, response, completion, at: now) else { return }
      judge(handshake, response, completion, flags, held)
    case (.storing(_, let completion, let flags, let change), .swapped):
      enterS1(handshake, completion, flags, change, at: now)
    case (.storing, .notSwapped):
      remove(handshake, .ratchetConflict)
    case (.loading(let response, _, _), _), (.storing(let response, _, _, _), _):
      // Nothing has changed: back to B2, where Alice's next X3 is welcome (section 9).
      drop(.storeFailed)
      withdraw(handshake, .storeFailed)
      handshake.stage = .waiting(response)
    default:
      remove(handshake, .storeFailed)
    }
  }

  /// rf1 is empty or unknown here. Is rf2 known? (Upstream never looks; section 12.)
  private mutating func firstLookUpFailed(_ handshake: HalfOpenHandshake, _ hello: ResponderHandshake.Hello) {
    guard !hello.fingerprint2.isEmpty else { return respondToUnknown(handshake, hello) }
    handshake.stage = .lookingUp(hello, second: true)
    ask(.lookUp(hello.fingerprint2), then: .halfOpen(handshake))
  }

  /// Neither fingerprint is known: silence with π1, else the empty state.
  private mutating func respondToUnknown(_ handshake: HalfOpenHandshake, _ hello: ResponderHandshake.Hello) {
    guard !configuration.flags.contains(.helloRequiresRatchet) else { return remove(handshake, .unknownRatchet) }
    giveUp(hello.fingerprint1, with: nil)
    respond(handshake, hello, using: .empty)
  }

  /// A fingerprint was found, and this is what its owner's row holds after every change that was asked for before.
  ///
  /// While a rival attempt is being stored, that may turn out to be the state of the Hello's first fingerprint.
  private mutating func respond(
    _ handshake: HalfOpenHandshake, _ hello: ResponderHandshake.Hello, to held: RatchetPair
  ) {
    guard let ratchet = held.common(hello.fingerprint1, hello.fingerprint2) else {
      handshake.ratchetPeer = nil
      return respondToUnknown(handshake, hello)
    }
    guard !halfOpen.contains(where: { $0.ratchetPeer == handshake.ratchetPeer && $0.isStoring }) else {
      return remove(handshake, .busy)
    }
    if ratchet.fingerprint != hello.fingerprint1 { giveUp(hello.fingerprint1, with: handshake.ratchetPeer) }
    respond(handshake, hello, using: ratchet)
  }

  /// A Hello is answered under its second fingerprint, or under the empty state. Its first names what came of an earlier
  /// attempt, or of a K1 of ours: a state that this side does not hold, and that Alice forgets when she gets X2. So from
  /// here on nothing may come of that attempt, or the two stores would have no state in common (section 14).
  private mutating func giveUp(_ fingerprint: Fingerprint, with peer: PublicKey?) {
    guard !fingerprint.isEmpty else { return }
    for other in halfOpen where other.ratchetPeer == peer { other.givenUp.insert(fingerprint) }
    guard let peer else { return }
    for id in peers[peer] ?? [] { sessions[id]?.givenUp.insert(fingerprint) }
    // Another shard may have the session that the outcome would be one of.
    guard settings.shard.count > 1 else { return }
    if givenUp.count == GivenUpStates.sharedLimit { givenUp.removeFirst() }
    givenUp.append(GivenUpState(fingerprint: fingerprint, peer: peer))
  }

  /// The row of a peer is about to change. What was asked about it before, and is answered later, is no ground for an
  /// X2; the Hello comes again.
  mutating func dropUnverified(_ peer: PublicKey) {
    for handshake in halfOpen where handshake.ratchetPeer == peer && handshake.isVerifying { remove(handshake, .busy) }
  }

  private mutating func respond(
    _ handshake: HalfOpenHandshake, _ hello: ResponderHandshake.Hello, using ratchet: RatchetState
  ) {
    handshake.stage = .responding(hello)
    let (profile, provider) = (configuration.profile, provider)
    ask(.response, then: .halfOpen(handshake)) { () throws(AuthenticationFailure) in
      .response(try ResponderHandshake.response(to: hello, using: ratchet, profile: profile, provider: provider))
    }
  }

  /// X2 is ready but for the name of our key.
  private mutating func enterB2(
    _ handshake: HalfOpenHandshake, _ hello: ResponderHandshake.Hello, _ response: ResponderHandshake.Response
  ) {
    var response = response
    handshake.keyID = drawKeyID()
    keyIDs.set(handshake.keyID, to: .halfOpen(handshake))
    let packet = response.finish(keyID: handshake.keyID)
    handshake.stage = .waiting(response)
    handshake.headerKeys = HeaderKeyPair(hello.headerKeys, .responder)
    // The packet-nonce counter is the last 3 bytes of the packet (section 4).
    let counter = packet.rawBytes.load(UInt32.self, at: packet.count - 4) & 0xFF_FFFF
    sendFragments(
      of: packet.rawBytes, .response, UInt64(counter), to: handshake.address, handshake.initiatorKeyID,
      under: handshake.headerKeys?.sendingKey(provider))
  }

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
  private mutating func hasPrecedence(
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
  private mutating func judge(
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
        under: handshake.headerKeys?.sendingKey(provider))
    }
    remove(handshake, .refused)
  }

  /// The peer is accepted and the new ratchet state stored: the session begins with C1.
  private mutating func enterS1(
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
    session.headerKeys = handshake.headerKeys
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

// SPDX-License-Identifier: Apache-2.0

/// Bob's transitions: ⊥ → B2, and the answers that a half-open handshake waits for (sections 6 and 11).
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
      respond(handshake, hello, to: held, hasGivenUp: false)
    case (.givingUp(let hello), .pair(let held)):
      respond(handshake, hello, to: held, hasGivenUp: true)
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
    forget(hello.fingerprint1, of: nil)
    respond(handshake, hello, using: .empty)
  }

  /// A fingerprint was found, and this is what its owner's row holds after every change that was asked for before.
  ///
  /// While a rival attempt is being stored, that may turn out to be the state of the Hello's first fingerprint.
  ///
  /// A Hello that is answered under its second fingerprint, or under the empty state, names first what came of an earlier
  /// attempt, or of a K1 of ours: a state that this side does not hold, and that Alice forgets when she gets X2. So before
  /// she does, the store learns that nothing may come of that attempt any more, here or at another endpoint with this
  /// store; or the two stores would have no state in common (section 14).
  private mutating func respond(
    _ handshake: HalfOpenHandshake, _ hello: ResponderHandshake.Hello, to held: RatchetPair, hasGivenUp: Bool
  ) {
    guard let ratchet = held.common(hello.fingerprint1, hello.fingerprint2), let peer = handshake.ratchetPeer else {
      handshake.ratchetPeer = nil
      return respondToUnknown(handshake, hello)
    }
    guard !halfOpen.contains(where: { $0.ratchetPeer == peer && $0.isStoring }) else {
      return remove(handshake, .busy)
    }
    if ratchet.fingerprint != hello.fingerprint1 {
      guard hasGivenUp || hello.fingerprint1.isEmpty || held.state(hello.fingerprint1) != nil else {
        handshake.stage = .givingUp(hello)
        return ask(.giveUp(hello.fingerprint1, peer: peer), then: .halfOpen(handshake))
      }
      forget(hello.fingerprint1, of: peer)
    }
    respond(handshake, hello, using: ratchet)
  }

  /// What this endpoint is doing itself must not come to that state either. Of a peer that it does not know yet, no store
  /// can remember anything.
  private mutating func forget(_ fingerprint: Fingerprint, of peer: PublicKey?) {
    for other in halfOpen where other.ratchetPeer == peer { other.givenUp.insert(fingerprint) }
    guard let peer else { return }
    for id in peers[peer] ?? [] { sessions[id]?.givenUp.insert(fingerprint) }
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
      under: handshake.headerKeys?.makeSendingKey(provider))
  }
}

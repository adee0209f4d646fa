// SPDX-License-Identifier: Apache-2.0

/// Alice's side of a handshake, from the first Hello until the peer has confirmed the key (sections 6 and 11).
///
/// | state | what it waits for | what ends it |
/// |---|---|---|
/// | A1, loading | the store: the peer's ratchet states | they are there: computing |
/// | A1, computing | X1 to be computed | it is: X1 is sent |
/// | A1, sent | X2, perhaps a challenge before | X2 is authentic and the store holds its outcome: X3 is sent, A3 |
/// | A3 | C1 | C1, and the store has dropped the older state: S2. D: the session ends |
///
/// Where A1 or A3 takes too long, or X2 cannot be authentic, the handshake begins anew with new keys (``begin(_:_:at:)``).
final class Opening {
  private enum State {
    /// The ratchet states of the peer are being looked up, or will be when the resend timer fires.
    case loading
    /// X1 is being computed.
    case computing
    /// X1 is out. X2 may be here already, and being worked on.
    case sent(InitiatorHandshake.Hello)
    /// A3: X3 is out.
    case completed(packet: [UInt8])
  }

  /// What was asked for and is not there yet.
  private enum Awaited {
    case states
    case hello
    case proofOfWork
    /// X2 is read, and X3 computed.
    case completion
    case swapOfCompletion(InitiatorHandshake.Completion)
    case swapOfConfirmation
  }

  /// What an input leads to.
  enum Step {
    /// The attempt goes on.
    case stay([Action])
    /// The peer has confirmed the key, and the store holds these states for it.
    case confirmed(HeldStates, downgradedFrom: UInt64?)
  }

  /// The peer's static key, decoded. Decoded keys are large, and a re-key is rare, so it goes with the attempt.
  private let peer: any AgreementPublicKey
  /// What this side says of itself.
  let identity: [UInt8]
  /// Flag π2, clear.
  private let allowsDowngrade: Bool
  /// Where the application said that the peer is, and where each handshake begins.
  private let address: Address

  private var state = State.loading
  private var awaited: Awaited?
  private var held = HeldStates(.empty, revision: 0)
  /// The id that X1 names, until there is a key of that id.
  private var offeredKeyID = KeyID.none
  /// The challenge response that X1 ended with when it was sent last.
  private(set) var challengeResponse = ChallengeResponse.unchallenged(proof: 0)
  /// The one that X1 will end with next.
  private var solvedChallenge: ChallengeResponse?
  /// How many X2 to the present X1 were read that were not authentic.
  private(set) var forgedBodies = 0
  /// Whether the last handshake failed to authenticate: then the next failure does not start another at once.
  private var isBackingOff = false
  /// The chain length of the state that this side held when the handshake went on without it.
  private var downgradedFrom: UInt64?
  /// When the state ends.
  private(set) var deadline = Instant.distantFuture
  /// When the packet of the state is sent again.
  private(set) var resendDeadline = Instant.distantFuture

  /// An attempt that has not begun.
  ///
  /// - Parameters:
  ///   - identity: at most 4096 bytes.
  ///   - flags: π2 counts.
  init(to peer: any AgreementPublicKey, at address: Address, identity: [UInt8], flags: SecurityFlags) {
    self.peer = peer
    self.address = address
    self.identity = identity
    allowsDowngrade = !flags.contains(.initiatorDisallowsDowngrade)
  }

  /// The state's name in the specification.
  var name: String { hasCompleted ? "A3" : "A1" }

  /// Whether X3 is out.
  private var hasCompleted: Bool {
    if case .completed = state { true } else { false }
  }

  /// Whether X1 is out, and X2 under its key id is waited for.
  func awaitsResponse(under keyID: KeyID) -> Bool {
    if case .sent = state { offeredKeyID == keyID } else { false }
  }

  /// The ids of keys that are offered.
  var offeredKeyIDs: [KeyID] { offeredKeyID == .none ? [] : [offeredKeyID] }

  // MARK: A1

  // [TIME-2] [TIME-9]
  /// Begins the handshake: the ratchet states that X1 offers come first.
  func begin(_ core: inout SessionCore, _ settings: Settings, at now: Instant) -> [Action] {
    state = .loading
    core.countHandshake()
    setDeadlines(settings, at: now)
    return load()
  }

  private func setDeadlines(_ settings: Settings, at now: Instant) {
    deadline = now.advanced(by: settings.handshakeTimeout)
    resendDeadline = now.advanced(by: settings.resendInterval)
  }

  // [XK-2]
  private func load() -> [Action] {
    awaited = .states
    return [.ask(.load(peer: peer.encoded))]
  }

  // [XK-1]
  private func statesLoaded(
    _ answer: StoreAnswer, _ surroundings: Surroundings, drawKeyID: () -> KeyID
  ) -> [Action] {
    // Without an answer the resend timer asks again.
    guard case .pair(let pair, let revision) = answer else { return [.drop(.storeFailed)] }
    held = HeldStates(pair, revision: revision)
    let keyID = drawKeyID()
    offeredKeyID = keyID
    state = .computing
    awaited = .hello
    let (peer, profile, provider) = (peer, surroundings.configuration.profile, surroundings.provider)
    return [
      .work(.hello) { () throws(AuthenticationFailure) in
        .hello(
          try InitiatorHandshake.hello(keyID: keyID, to: peer, ratchet: pair, profile: profile, provider: provider))
      }
    ]
  }

  private func helloComputed(
    _ hello: InitiatorHandshake.Hello, _ core: inout SessionCore, _ surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    core.keys.setHeaders(HeaderKeyPair(hello.headerKeys, .initiator))
    // Section 8: the first Hello carries zeros and a random proof of work.
    // [CHAL-2]
    challengeResponse = .unchallenged(proof: surroundings.provider.randomInteger(UInt64.self))
    solvedChallenge = nil
    forgedBodies = 0
    state = .sent(hello)
    resendDeadline = now.advanced(by: surroundings.settings.resendInterval)
    return [send(hello)]
  }

  // [FRAG-1]
  private func send(_ hello: InitiatorHandshake.Hello) -> Action {
    // A solved challenge does not go out at once, but with the next regular resend.
    // [CHAL-12]
    if let solved = solvedChallenge.take() { challengeResponse = solved }
    return .send(
      OutgoingPacket(
        type: .hello, counter: hello.counter, keyID: .none, bytes: hello.packet + challengeResponse.bytes))
  }

  /// A challenge came for a key id of this attempt. It is Alice's only in A1, and only if it repeats the proof of her last
  /// Hello, which nobody can who has not seen it.
  func challengeReceived(
    _ challenge: ChallengeResponse, for keyID: KeyID, _ provider: any CryptoProvider
  ) throws(Dropped) -> [Action] {
    // [CHAL-10]
    guard awaitsResponse(under: keyID), challenge.proof == challengeResponse.proof else {
      throw Dropped(.unexpectedChallenge)
    }
    guard awaited == nil, solvedChallenge == nil else { throw Dropped(.busy) }
    let start = provider.randomInteger(UInt64.self)
    awaited = .proofOfWork
    // [CHAL-11]
    return [.work(.proofOfWork) { .proofOfWork(ProofOfWork.solve(challenge, from: start, provider: provider)) }]
  }

  /// X2 is complete. Its header was protected under a key that only the responder can derive.
  func responseReceived(
    _ packet: RawSpan, _ header: FragmentHeader, _ surroundings: Surroundings
  ) throws(Dropped) -> [Action] {
    // [XK-18]
    guard case .sent(let hello) = state else { throw Dropped(.implausible) }
    guard packet.byteCount == PacketSize.response else { throw Dropped(.malformed) }
    let end = packet.load(UInt32.self, at: packet.byteCount - 4) & 0xFF_FFFF
    // [XK-18]
    guard header.counter == UInt64(end) else { throw Dropped(.notAuthentic) }
    // [DEC-5]
    guard awaited == nil else { throw Dropped(.busy) }
    awaited = .completion
    let (packet, ratchet, identity, allowsDowngrade) = (packet.array, held.pair, identity, allowsDowngrade)
    let (staticKey, provider) = (surroundings.configuration.staticKey, surroundings.provider)
    return [
      .work(.responseReceived) { () throws(AuthenticationFailure) in
        .responseReceived(
          try InitiatorHandshake.completion(
            of: hello, response: packet.rawBytes, ratchet: ratchet, allowsDowngrade: allowsDowngrade,
            staticKey: staticKey, identity: identity, provider: provider))
      }
    ]
  }

  /// X2 was not authentic. Whoever has seen the header of a genuine one can put anything behind it,
  /// so the genuine one is waited for, until so many have been read (section 14). What the next
  /// needs is still there: reading X2 changes nothing.
  private func responseFailed(
    _ core: inout SessionCore, _ surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    // [DEC-2] [DEC-4]
    forgedBodies += 1
    guard forgedBodies >= surroundings.settings.bodiesPerHandshake else { return [.drop(.notAuthentic)] }
    return [.drop(.notAuthentic)] + fail(.notAuthentic, &core, surroundings, at: now)
  }

  /// X2 was good. Before X3 leaves, the new ratchet state is stored beside the one that was used (section 6).
  private func responseRead(
    _ completion: InitiatorHandshake.Completion, _ core: borrowing SessionCore, _ surroundings: Surroundings,
    at now: Instant
  ) -> [Action] {
    guard case .sent = state else { return [] }
    if !completion.used.isEmpty {
      surroundings.directory.recordAnswer(
        of: core.peer, at: now, lifetime: surroundings.settings.handshakeTimeout)
    }
    awaited = .swapOfCompletion(completion)
    // [XK-25]
    return [held.swap(to: outcome(of: completion), of: core.peer, surroundings.directory)]
  }

  // [XK-26]
  /// The states to hold after X2. After a downgrade the second place keeps the last confirmed state, so that whoever got no
  /// further than X2 cannot make this side forget it.
  private func outcome(of completion: InitiatorHandshake.Completion) -> RatchetPair {
    let kept = completion.isDowngrade ? held.pair.state2 ?? held.pair.state1 : completion.used
    return RatchetPair(completion.secrets.ratchet, kept)
  }

  // MARK: A3

  private func enterA3(
    _ completion: InitiatorHandshake.Completion, _ core: inout SessionCore, _ surroundings: Surroundings,
    at now: Instant
  ) -> [Action] {
    let outcome = outcome(of: completion)
    held.swapped(to: outcome)
    _ = core.keys.prepare(
      SessionKey(
        completion.secrets, role: .initiator, localID: offeredKeyID, remoteID: completion.responderKeyID,
        firstCounter: core.keys.counter))
    offeredKeyID = .none
    state = .completed(packet: completion.packet)
    surroundings.directory.setCommitted(at: now, surroundings.place(core.id), with: core.peer)
    // [TIME-4] [TIME-9]
    setDeadlines(surroundings.settings, at: now)
    // [DEC-7]
    var actions = [Action.forgetIncomplete]
    // [MODE-6] [XK-20]
    if completion.isDowngrade, let kept = outcome.state2 {
      downgradedFrom = kept.chainLength
      actions.append(.emit(.downgraded(core.id, peer: core.peer, heldChainLength: kept.chainLength)))
    }
    return actions + sendCompletion(completion.packet, core)
  }

  // [DEC-32] [PKT-7]
  private func sendCompletion(_ packet: [UInt8], _ core: borrowing SessionCore) -> [Action] {
    guard let key = core.keys.other else { return [] }
    return [.send(OutgoingPacket(type: .completion, counter: 0, keyID: key.remoteID, bytes: packet))]
  }

  /// C1 came: the peer holds the key, and the new ratchet state, so the older one can go. The session follows when it has gone.
  func confirmationReceived(
    under key: SessionKey, _ core: borrowing SessionCore, _ surroundings: Surroundings, at now: Instant
  ) throws(Dropped) -> [Action] {
    // [CTRL-2]
    guard hasCompleted, key === core.keys.other else { throw Dropped(.implausible) }
    // [DEC-12]
    guard awaited == nil else { throw Dropped(.busy) }
    awaited = .swapOfConfirmation
    return [held.dropOlder(of: core.peer, surroundings, at: now)]
  }

  /// D came: the application of the responder does not want us.
  func rejectionReceived(under key: SessionKey, _ core: borrowing SessionCore) throws(Dropped) -> [Action] {
    // [CTRL-5]
    guard hasCompleted, key === core.keys.other else { throw Dropped(.implausible) }
    return [.end(.rejected)]
  }

  // MARK: Answers

  /// The store has answered.
  func answered(
    _ answer: StoreAnswer, _ core: inout SessionCore, _ surroundings: Surroundings, at now: Instant,
    drawKeyID: () -> KeyID
  ) -> Step {
    switch awaited.take() {
    case .states: return .stay(statesLoaded(answer, surroundings, drawKeyID: drawKeyID))
    case .swapOfCompletion(let completion):
      switch HeldStates.Outcome(answer) {
      case .swapped: return .stay(enterA3(completion, &core, surroundings, at: now))
      case .conflict: return .stay(conflict(&core, surroundings, at: now))
      case .failed: return .stay([.drop(.storeFailed)])
      }
    case .swapOfConfirmation:
      switch HeldStates.Outcome(answer) {
      case .swapped:
        held.droppedOlder()
        return .confirmed(held, downgradedFrom: downgradedFrom)
      case .conflict: return .stay(conflict(&core, surroundings, at: now))
      case .failed: return .stay([.drop(.storeFailed)])
      }
    // Not a question to the store.
    case .hello, .proofOfWork, .completion, nil: return .stay([.drop(.storeFailed)])
    }
  }

  /// Public-key work is done.
  func completed(
    _ outcome: PublicKeyResult.Outcome, _ core: inout SessionCore, _ surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    switch (awaited.take(), outcome) {
    case (.hello, .hello(let hello)): return helloComputed(hello, &core, surroundings, at: now)
    case (.proofOfWork, .proofOfWork(let response)):
      // [CHAL-12]
      if case .sent = state { solvedChallenge = response }
      return []
    case (.completion, .responseReceived(let completion)):
      return responseRead(completion, core, surroundings, at: now)
    case (.completion, _): return responseFailed(&core, surroundings, at: now)
    default: return [.drop(.notAuthentic)] + fail(.notAuthentic, &core, surroundings, at: now)
    }
  }

  /// No answer to what was asked will be taken.
  func stopWaiting() { awaited = nil }

  // MARK: Beginning anew

  // [DEC-48] [RAT-8]
  /// Another instance has changed the ratchet state first. This handshake is over; the application still wants a session, so
  /// there another begins, with what is stored now.
  private func conflict(_ core: inout SessionCore, _ surroundings: Surroundings, at now: Instant) -> [Action] {
    [.drop(.ratchetConflict)] + fail(.ratchetConflict, &core, surroundings, at: now)
  }

  /// An authentication failure in the handshake acts as the state's timeout (section 11), but only the first in a row
  /// does so at once: a peer of another profile must not make this side compute Hellos as fast as it can answer them.
  private func fail(
    _ reason: RestartReason, _ core: inout SessionCore, _ surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    let isRepeated = isBackingOff
    isBackingOff = true
    // [DEC-1] [TIME-11]
    guard isRepeated else { return restart(reason, &core, surroundings, at: now) }
    let actions = forget(reason, &core, surroundings)
    // The resend timer begins the next.
    state = .loading
    setDeadlines(surroundings.settings, at: now)
    return actions
  }

  // [TIME-2] [TIME-4]
  /// The handshake starts anew: new key id, new ephemeral keys, new X1.
  private func restart(
    _ reason: RestartReason, _ core: inout SessionCore, _ surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    forget(reason, &core, surroundings) + begin(&core, surroundings.settings, at: now)
  }

  private func forget(
    _ reason: RestartReason, _ core: inout SessionCore, _ surroundings: Surroundings
  ) -> [Action] {
    core.lastRestart = reason
    return [.emit(.restarted(core.id, reason))] + forget(&core, surroundings)
  }

  /// Goes back to nothing but who the peer is.
  func forget(_ core: inout SessionCore, _ surroundings: Surroundings) -> [Action] {
    awaited = nil
    surroundings.directory.setCommitted(at: nil, surroundings.place(core.id), with: core.peer)
    var actions = [Action.stopWaiting, .releaseAll(offeredKeyIDs + core.keys.erase())]
    offeredKeyID = .none
    downgradedFrom = nil
    forgedBodies = 0
    // Who repeated C1 from elsewhere must not get all Hellos from then on.
    // [DEC-33]
    if core.address != address { actions.append(.move(to: address)) }
    actions.append(.forgetIncomplete)
    return actions
  }

  // MARK: Timers

  /// The timeout column of section 11.
  func timedOut(_ core: inout SessionCore, _ surroundings: Surroundings, at now: Instant) -> [Action] {
    isBackingOff = false
    // [TIME-4]
    if hasCompleted {
      surroundings.directory.recordUnanswered(surroundings.place(core.id), with: core.peer)
      return restart(.notConfirmed, &core, surroundings, at: now)
    }
    // Who got answers, none of them authentic, is told so.
    // [DEC-6] [TIME-2]
    return restart(forgedBodies > 0 ? .notAuthentic : .timeout, &core, surroundings, at: now)
  }

  /// The resend column of section 11.
  func resend(_ core: borrowing SessionCore, _ surroundings: Surroundings, at now: Instant) -> [Action] {
    // [TIME-1]
    resendDeadline = now.advanced(by: surroundings.settings.resendInterval)
    switch state {
    case .loading: return awaited == nil ? load() : []
    case .computing: return []
    // [TIME-2]
    case .sent(let hello): return [send(hello)]
    // [TIME-4]
    case .completed(let packet):
      let mayResend = surroundings.directory.mayResend(surroundings.place(core.id), to: core.peer, at: now)
      return mayResend ? sendCompletion(packet, core) : []
    }
  }
}

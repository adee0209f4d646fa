// SPDX-License-Identifier: Apache-2.0

/// The initiator's side of a handshake, from the first Hello until the peer has confirmed the key
/// (sections 6 and 11).
///
/// | state | what it waits for | what ends it |
/// |---|---|---|
/// | A1, loading | the store: the peer's ratchet states | they are loaded: computing |
/// | A1, computing | X1 to be computed | it is: X1 is sent |
/// | A1, sent | X2, or first a challenge | X2 is authentic and the store holds its outcome: X3 is sent, A3 |
/// | A3 | C1 | C1, and the store has dropped the older state: S2. D: the session ends |
///
/// If A1 or A3 times out, or X2 cannot be authentic, the handshake restarts with new keys
/// (``begin(core:settings:at:)``).
final class Opening {
  private enum State {
    /// The ratchet states of the peer are being loaded, or will be when the resend timer fires.
    case loading
    /// X1 is being computed.
    case computing
    /// X1 was sent. X2 may have arrived, and be in work.
    case sent(InitiatorHandshake.Hello)
    /// A3: X3 was sent.
    case completed(packet: [UInt8])
  }

  /// The request that has no answer yet.
  private enum Awaited {
    case states
    case hello
    case proofOfWork
    /// Reading X2 and computing X3.
    case completion
    case swapOfCompletion(InitiatorHandshake.Completion)
    case swapOfConfirmation
  }

  /// The result of an input.
  enum Step {
    /// The attempt continues.
    case stay([Action])
    /// The peer has confirmed the key, and the store holds these states for it.
    case confirmed(HeldStates, downgradedFrom: UInt64?)
  }

  /// The peer's decoded static key. Decoded keys are large and re-keys are rare, so it is released
  /// with the attempt.
  private let peer: any AgreementPublicKey
  /// This side's description of itself.
  let identity: [UInt8]
  /// True if flag π2 is clear.
  private let allowsDowngrade: Bool
  /// The address from the application, where each handshake begins.
  private let address: Address

  private var state = State.loading
  private var awaited: Awaited?
  private var held = HeldStates(.empty, revision: 0)
  /// The id that X1 names, until a key has that id.
  private var offeredKeyID = KeyID.none
  /// The challenge response of the last sent X1.
  private(set) var challengeResponse = ChallengeResponse.unchallenged(proof: 0)
  /// The challenge response of the next X1.
  private var solvedChallenge: ChallengeResponse?
  /// True if the responder has asked for a proof of work.
  private(set) var wasChallenged = false
  /// The number of X2 to the present X1 that were read and were not authentic.
  private(set) var forgedBodies = 0
  /// True if the last handshake failed to authenticate: then the next failure does not restart at
  /// once.
  private var isBackingOff = false
  /// The chain length of the state that this side held when the handshake continued without it.
  private var downgradedFrom: UInt64?
  /// The end of the state.
  private(set) var deadline = Instant.distantFuture
  /// The time of the next resend of the state's packet.
  private(set) var resendDeadline = Instant.distantFuture

  /// Creates an attempt that has not begun.
  ///
  /// - Parameters:
  ///   - peer: the peer's static key.
  ///   - address: the destination of the Hello.
  ///   - identity: at most 4096 bytes.
  ///   - flags: the flags of the session, of which π2 counts.
  init(to peer: any AgreementPublicKey, at address: Address, identity: [UInt8], flags: SecurityFlags) {
    self.peer = peer
    self.address = address
    self.identity = identity
    allowsDowngrade = !flags.contains(.initiatorDisallowsDowngrade)
  }

  /// The state's name in the specification.
  var name: String { hasCompleted ? "A3" : "A1" }

  /// True if X3 was sent.
  private var hasCompleted: Bool {
    if case .completed = state { true } else { false }
  }

  /// Returns true if X1 was sent, and X2 under its key id is expected.
  func awaitsResponse(under keyID: KeyID) -> Bool {
    if case .sent = state { offeredKeyID == keyID } else { false }
  }

  /// The ids of offered keys.
  var offeredKeyIDs: [KeyID] { offeredKeyID == .none ? [] : [offeredKeyID] }

  // MARK: A1

  // [TIME-2] [TIME-9]
  /// Begins the handshake by loading the ratchet states that X1 offers.
  func begin(core: inout SessionCore, settings: Settings, at now: Instant) -> [Action] {
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
    _ answer: StoreAnswer, in surroundings: Surroundings, drawKeyID: () -> KeyID
  ) -> [Action] {
    // Without an answer the resend timer repeats the request.
    guard case .pair(let pair, let revision) = answer else { return [.drop(.storeFailed)] }
    held = HeldStates(pair, revision: revision)
    let keyID = drawKeyID()
    offeredKeyID = keyID
    state = .computing
    awaited = .hello
    let peer = peer
    let profile = surroundings.configuration.profile
    let provider = surroundings.provider
    return [
      .work(.hello) {
        InitiatorHandshake.hello(keyID: keyID, to: peer, ratchet: pair, profile: profile, provider: provider)
          .map { .hello($0) }
      }
    ]
  }

  private func helloComputed(
    _ hello: InitiatorHandshake.Hello, core: inout SessionCore, in surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    core.keys.setHeaders(HeaderKeyPair(hello.headerKeys, role: .initiator))
    #if KeyLog
      surroundings.configuration.keyLog?.hello(
        offeredKeyID, sealings: hello.sealings, headers: hello.headerKeys, role: .initiator)
    #endif
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
    // A solved challenge is not sent at once, but with the next regular resend.
    // [CHAL-12]
    if let solved = solvedChallenge.take() { challengeResponse = solved }
    return .send(
      OutgoingPacket(
        type: .hello, counter: hello.counter, keyID: .none, bytes: hello.packet + challengeResponse.bytes))
  }

  /// Processes a challenge for a key id of this attempt. It is accepted only in A1, and only if it
  /// repeats the proof of the last Hello, which only an observer of that Hello can know.
  func challengeReceived(
    _ challenge: ChallengeResponse, for keyID: KeyID, provider: any CryptoProvider
  ) throws(Dropped) -> [Action] {
    // [CHAL-10]
    guard awaitsResponse(under: keyID), challenge.proof == challengeResponse.proof else {
      throw Dropped(.unexpectedChallenge)
    }
    wasChallenged = true
    guard awaited == nil, solvedChallenge == nil else { throw Dropped(.busy) }
    let start = provider.randomInteger(UInt64.self)
    awaited = .proofOfWork
    // [CHAL-11]
    return [.work(.proofOfWork) { .done(.proofOfWork(ProofOfWork.solve(challenge, from: start, provider: provider))) }]
  }

  /// Processes a complete X2. Its header was protected with a key that only the responder can
  /// derive.
  func responseReceived(
    _ packet: RawSpan, header: FragmentHeader, in surroundings: Surroundings
  ) throws(Dropped) -> [Action] {
    // [XK-18]
    guard case .sent(let hello) = state else { throw Dropped(.unexpected) }
    guard packet.byteCount == PacketSize.response else { throw Dropped(.malformed) }
    let end = packet.load(UInt32.self, at: packet.byteCount - 4) & 0xFF_FFFF
    // [XK-18]
    guard header.counter == UInt64(end) else { throw Dropped(.notAuthentic) }
    // [DEC-5]
    guard awaited == nil else { throw Dropped(.busy) }
    awaited = .completion
    let packetBytes = packet.array
    let ratchet = held.pair
    let identity = identity
    let allowsDowngrade = allowsDowngrade
    let staticKey = surroundings.configuration.staticKey
    let provider = surroundings.provider
    return [
      .work(.responseReceived) { () throws(AuthenticationFailure) in
        try InitiatorHandshake.completion(
          of: hello, response: packetBytes, ratchet: ratchet, allowsDowngrade: allowsDowngrade,
          staticKey: staticKey, identity: identity, provider: provider
        ).map { .responseReceived($0) }
      }
    ]
  }

  /// Processes an X2 that is not authentic. An observer of a genuine header can put any bytes
  /// behind it, so the attempt waits for the genuine X2, up to a number of X2s (section 14).
  /// Reading X2 changes nothing that the next one needs.
  private func responseFailed(
    core: inout SessionCore, in surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    // [DEC-2] [DEC-4]
    forgedBodies += 1
    guard forgedBodies >= surroundings.settings.bodiesPerHandshake else { return [.drop(.notAuthentic)] }
    return [.drop(.notAuthentic)] + fail(.notAuthentic, core: &core, in: surroundings, at: now)
  }

  /// Processes an authentic X2. Before X3 is sent, the new ratchet state is stored beside the one
  /// that was used (section 6).
  private func responseRead(
    _ completion: InitiatorHandshake.Completion, core: borrowing SessionCore, in surroundings: Surroundings,
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
  /// Returns the states to store after X2. After a downgrade the second place keeps the last
  /// confirmed state, so that a peer that gets no further than X2 cannot make this side lose it.
  private func outcome(of completion: InitiatorHandshake.Completion) -> RatchetPair {
    let kept = completion.isDowngrade ? held.pair.state2 ?? held.pair.state1 : completion.used
    return RatchetPair(completion.secrets.ratchet, kept)
  }

  // MARK: A3

  private func enterA3(
    _ completion: InitiatorHandshake.Completion, core: inout SessionCore, in surroundings: Surroundings,
    at now: Instant
  ) -> [Action] {
    let outcome = outcome(of: completion)
    held.swapped(to: outcome)
    _ = core.keys.prepare(
      SessionKey(
        completion.secrets, role: .initiator, localID: offeredKeyID, remoteID: completion.responderKeyID,
        firstCounter: core.keys.counter))
    #if KeyLog
      if let headers = core.keys.directionalHeaders(.initiator) {
        surroundings.configuration.keyLog?.record(
          completion.secrets, offeredKeyID, completion.responderKeyID, headers: headers, role: .initiator)
      }
    #endif
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
    return actions + sendCompletion(completion.packet, core: core)
  }

  // [DEC-32] [PKT-7]
  private func sendCompletion(_ packet: [UInt8], core: borrowing SessionCore) -> [Action] {
    guard let key = core.keys.other else { return [] }
    return [.send(OutgoingPacket(type: .completion, counter: 0, keyID: key.remoteID, bytes: packet))]
  }

  /// Processes a C1: the peer has the key and the new ratchet state, so the older one can be
  /// dropped. The session is established after that.
  func confirmationReceived(
    under key: SessionKey, core: borrowing SessionCore, in surroundings: Surroundings, at now: Instant
  ) throws(Dropped) -> [Action] {
    // [CTRL-2]
    guard hasCompleted, key === core.keys.other else { throw Dropped(.unexpected) }
    // [DEC-12]
    guard awaited == nil else { throw Dropped(.busy) }
    awaited = .swapOfConfirmation
    return [held.dropOlder(of: core.peer, in: surroundings, at: now)]
  }

  /// Processes a D. A rejection is the first packet under the key. A later one is a goodbye: the
  /// responder had accepted, and C1 got lost or is still being processed.
  func rejectionReceived(
    counter: UInt64, under key: SessionKey, _ core: borrowing SessionCore
  ) throws(Dropped) -> [Action] {
    guard hasCompleted, key === core.keys.other else { throw Dropped(.unexpected) }
    // [CTRL-5] [DEC-84]
    return [.end(counter == 0 ? .rejected : .closedByPeer)]
  }

  // MARK: Answers

  /// Processes an answer of the store.
  func answered(
    _ answer: StoreAnswer, core: inout SessionCore, in surroundings: Surroundings, at now: Instant,
    drawKeyID: () -> KeyID
  ) -> Step {
    switch awaited.take() {
    case .states: return .stay(statesLoaded(answer, in: surroundings, drawKeyID: drawKeyID))
    case .swapOfCompletion(let completion):
      switch HeldStates.Outcome(answer) {
      case .swapped: return .stay(enterA3(completion, core: &core, in: surroundings, at: now))
      case .conflict: return .stay(conflict(core: &core, in: surroundings, at: now))
      case .failed: return .stay([.drop(.storeFailed)])
      }
    case .swapOfConfirmation:
      switch HeldStates.Outcome(answer) {
      case .swapped:
        held.droppedOlder()
        return .confirmed(held, downgradedFrom: downgradedFrom)
      case .conflict: return .stay(conflict(core: &core, in: surroundings, at: now))
      case .failed: return .stay([.drop(.storeFailed)])
      }
    // Not a request to the store.
    case .hello, .proofOfWork, .completion, nil: return .stay([.drop(.storeFailed)])
    }
  }

  /// Processes the result of public-key work.
  func completed(
    _ outcome: PublicKeyResult.Outcome, core: inout SessionCore, in surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    switch (awaited.take(), outcome) {
    case (.hello, .hello(let hello)): return helloComputed(hello, core: &core, in: surroundings, at: now)
    case (.proofOfWork, .proofOfWork(let response)):
      // [CHAL-12]
      if case .sent = state { solvedChallenge = response }
      return []
    case (.completion, .responseReceived(let completion)):
      return responseRead(completion, core: core, in: surroundings, at: now)
    case (.completion, _): return responseFailed(core: &core, in: surroundings, at: now)
    default: return [.drop(.notAuthentic)] + fail(.notAuthentic, core: &core, in: surroundings, at: now)
    }
  }

  /// Ignores the answer to any open request.
  func stopWaiting() { awaited = nil }

  // MARK: Restarting

  // [DEC-48] [RAT-8]
  /// Ends a handshake because another session with the same peer has changed the ratchet state
  /// first. The application still wants a session, so another handshake begins with the states that
  /// are stored now.
  private func conflict(core: inout SessionCore, in surroundings: Surroundings, at now: Instant) -> [Action] {
    [.drop(.ratchetConflict)] + fail(.ratchetConflict, core: &core, in: surroundings, at: now)
  }

  /// Processes an authentication failure of the handshake as the timeout of its state (section 11).
  /// Only the first in a row restarts at once, so that a peer of another profile cannot make this
  /// side compute Hellos as fast as it can answer them.
  private func fail(
    _ reason: RestartReason, core: inout SessionCore, in surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    let isRepeated = isBackingOff
    isBackingOff = true
    // [DEC-1] [TIME-11]
    guard isRepeated else { return restart(reason, core: &core, in: surroundings, at: now) }
    let actions = forget(reason, core: &core, in: surroundings)
    // The resend timer begins the next handshake.
    state = .loading
    setDeadlines(surroundings.settings, at: now)
    return actions
  }

  // [TIME-2] [TIME-4]
  /// Restarts the handshake: new key id, new ephemeral keys, new X1.
  private func restart(
    _ reason: RestartReason, core: inout SessionCore, in surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    forget(reason, core: &core, in: surroundings) + begin(core: &core, settings: surroundings.settings, at: now)
  }

  private func forget(
    _ reason: RestartReason, core: inout SessionCore, in surroundings: Surroundings
  ) -> [Action] {
    core.restarted(reason)
    return [.emit(.restarted(core.id, reason))] + forget(core: &core, in: surroundings)
  }

  /// Discards everything but the peer.
  func forget(core: inout SessionCore, in surroundings: Surroundings) -> [Action] {
    awaited = nil
    surroundings.directory.setCommitted(at: nil, surroundings.place(core.id), with: core.peer)
    var actions = [Action.stopWaiting, .releaseAll(offeredKeyIDs + core.keys.erase())]
    offeredKeyID = .none
    downgradedFrom = nil
    forgedBodies = 0
    // A peer that repeated C1 from elsewhere must not receive all later Hellos.
    // [DEC-33]
    if core.address != address { actions.append(.move(to: address)) }
    actions.append(.forgetIncomplete)
    return actions
  }

  // MARK: Timers

  /// Processes the end of the state: the timeout column of section 11.
  func timedOut(core: inout SessionCore, in surroundings: Surroundings, at now: Instant) -> [Action] {
    isBackingOff = false
    // [TIME-4]
    if hasCompleted {
      surroundings.directory.recordUnanswered(surroundings.place(core.id), with: core.peer)
      return restart(.notConfirmed, core: &core, in: surroundings, at: now)
    }
    // If answers arrived and none was authentic, the event says so.
    // [DEC-6] [TIME-2]
    return restart(forgedBodies > 0 ? .notAuthentic : .timeout, core: &core, in: surroundings, at: now)
  }

  /// Resends the packet of the state: the resend column of section 11.
  func resend(core: borrowing SessionCore, in surroundings: Surroundings, at now: Instant) -> [Action] {
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
      return mayResend ? sendCompletion(packet, core: core) : []
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The re-key (sections 7 and 11).
///
/// | state | what it waits for | what ends it |
/// |---|---|---|
/// | S2, idle | timer of ``Confirmation``; a K1 | K1 is sent: R1. K1 authentic, its outcome stored: K2 is sent, R2 |
/// | R1 | K2; from XK's initiator also K1 | K2 is authentic and its outcome stored: C1 is sent, S1. K1: as in S2 |
/// | R2 | C1 under the new key | C1, and the store has dropped the older state: C2 is sent, S2 |
///
/// A timeout in R1 or R2 ends the session.
struct Rekey {
  private enum State {
    case idle
    /// R1: K1 was sent.
    indirect case initiated(Offer, Deadlines)
    /// R2: K2 was sent.
    indirect case answered(packet: [UInt8], Deadlines)
  }

  /// The end of R1 or R2, and the next resend of its packet.
  private struct Deadlines {
    let end: Instant
    private(set) var resend: Instant

    init(_ settings: Settings, at now: Instant) {
      end = now.advanced(by: settings.rekeyTimeout)
      resend = now.advanced(by: settings.resendInterval)
    }

    /// Returns the deadlines after the packet was sent again.
    func resent(_ settings: Settings, at now: Instant) -> Deadlines {
      var deadlines = self
      deadlines.resend = now.advanced(by: settings.resendInterval)
      return deadlines
    }
  }

  /// K1, and the K2 that may answer it.
  private struct Offer {
    let initiation: RekeyHandshake.Initiation
    /// The outcomes that the peer has abandoned since. A K2 that leads to one of them is too late.
    var revoked = RevokedStates()
    /// The time from which a K2 is read.
    var nextAnswer: Instant
  }

  /// The request that has no answer yet.
  private enum Awaited {
    /// Computing K1.
    case initiation
    /// Reading a K1 and computing K2.
    case response
    indirect case swapOfAnswer(Answer)
    /// Reading K2.
    case completion
    indirect case swapOfCompletion(KeyID, SessionSecrets)
    case swapOfConfirmation
  }

  /// K2 and its secrets, while the store has the request.
  private struct Answer {
    let packet: [UInt8]
    let localID: KeyID
    let remoteID: KeyID
    let secrets: SessionSecrets

    /// Returns the states to store, of which one is the newest now.
    func outcome(beside held: RatchetPair) -> RatchetPair { RatchetPair(secrets.ratchet, held.state1) }
  }

  /// The result of an input.
  enum Step {
    case stay([Action])
    /// R1 → S1: the new key is in use. C1 follows.
    case completed([Action])
    /// R2 → S2: the peer uses the new key, too. C2 follows.
    case confirmed
  }

  private var state = State.idle
  private var awaited: Awaited?
  /// The id that this side's K1 names, until a key has that id.
  private var offeredKeyID = KeyID.none
  /// The id that this side's K2 names, until a key has that id.
  private var answeredKeyID = KeyID.none
  /// The limit of re-keys that the peer may begin.
  private var peerPace = TokenBucket()
  /// The limit of re-keys that this side may begin, as the peer is expected to apply it.
  private var ownPace = TokenBucket()
  /// The time at which the awaited answer is abandoned, in states whose own timer does not do it.
  private(set) var abandonDeadline = Instant.distantFuture

  /// The state's name in the specification; nil without a re-key.
  var name: String? {
    switch state {
    case .idle: nil
    case .initiated: "R1"
    case .answered: "R2"
    }
  }

  /// The end of R1 or R2, and the next resend of its packet; nil in S2.
  var deadlines: (end: Instant, resend: Instant)? {
    switch state {
    case .idle: nil
    case .initiated(_, let deadlines), .answered(_, let deadlines): (deadlines.end, deadlines.resend)
    }
  }
  /// True in R2: the peer uses the current key or the prepared one.
  var isAnswered: Bool { if case .answered = state { true } else { false } }
  /// True while an answer is awaited.
  var isWaiting: Bool { awaited != nil }
  /// The ids of offered keys.
  var offeredKeyIDs: [KeyID] { [offeredKeyID, answeredKeyID].filter { $0 != .none } }

  /// Returns true if this side may begin a re-key now, as the peer is expected to limit it.
  func mayBegin(_ settings: Settings, at now: Instant) -> Bool {
    if case .idle = state { awaited == nil && ownPace.hasToken(settings.rekeyPace, at: now) } else { false }
  }

  /// Resets the limit of this side's re-keys, for tests.
  mutating func forgetPace() { ownPace = TokenBucket() }

  /// Returns the work that decodes the peer's static key, and continues with those of both sides.
  private static func job(
    withKeysOf peer: PublicKey, in surroundings: Surroundings,
    _ next:
      @escaping @Sendable (RekeyHandshake.StaticKeys) throws(AuthenticationFailure)
      -> Computation<PublicKeyResult.Outcome>
  ) -> Action.Job {
    let own = surroundings.configuration.staticKey
    return {
      .decode(peer) { peer throws(AuthenticationFailure) in
        try next(RekeyHandshake.StaticKeys(own: own, peer: peer))
      }
    }
  }

  // MARK: As initiator: S2, R1, S1

  /// Begins a re-key without checking for a token: the peer accepts K1 as soon as it has one.
  ///
  /// - Parameters:
  ///   - held: the states that the store holds.
  ///   - peer: the peer's static key.
  ///   - deadline: the time when the work is abandoned and begins again.
  ///   - drawKeyID: draws the id that K1 names.
  mutating func begin(
    _ held: HeldStates, with peer: PublicKey, in surroundings: Surroundings, until deadline: Instant, at now: Instant,
    drawKeyID: () -> KeyID
  ) -> [Action] {
    // [DEC-37]
    ownPace.take(surroundings.settings.rekeyPace, at: now)
    var actions = releaseOfferedKeyID()
    // [KK-2]
    offeredKeyID = drawKeyID()
    awaited = .initiation
    abandonDeadline = deadline
    let keyID = offeredKeyID
    let ratchet = held.pair.state1
    let provider = surroundings.provider
    let job = Self.job(withKeysOf: peer, in: surroundings) { keys in
      RekeyHandshake.initiation(keyID: keyID, keys: keys, ratchet: ratchet, provider: provider).map { .rekey($0) }
    }
    actions.append(.work(.rekey, job))
    return actions
  }

  private mutating func releaseOfferedKeyID() -> [Action] {
    let actions = offeredKeyID == .none ? [] : [Action.release(offeredKeyID)]
    offeredKeyID = .none
    return actions
  }

  // [TIME-7]
  /// S2 → R1.
  private mutating func initiated(
    _ initiation: RekeyHandshake.Initiation, core: inout SessionCore, in surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    guard case .idle = state else { return [] }
    state = .initiated(
      Offer(initiation: initiation, nextAnswer: now), Deadlines(surroundings.settings, at: now))
    return core.send(
      .rekeyInit, body: initiation.packet, under: core.keys.current, configuration: surroundings.configuration)
  }

  // [DEC-64]
  /// Records that the peer has begun a handshake without the state of this name: no K2 may lead to
  /// it any more.
  mutating func revoke(_ name: Fingerprint) {
    guard case .initiated(var offer, let deadlines) = state else { return }
    offer.revoked.insert(name)
    state = .initiated(offer, deadlines)
  }

  /// Processes a K2, the answer to this side's K1.
  mutating func answerReceived(
    _ packet: RawSpan, under key: SessionKey, core: borrowing SessionCore, in surroundings: Surroundings,
    at now: Instant
  ) throws(Dropped) -> [Action] {
    guard case .initiated(var offer, let deadlines) = state, key === core.keys.current else {
      throw Dropped(.unexpected)
    }
    guard awaited == nil else { throw Dropped(.busy) }
    // If the store fails, or the outcome was abandoned, K2 arrives again, from an honest peer at
    // the resend interval.
    // [DEC-38]
    guard now >= offer.nextAnswer else { throw Dropped(.rekeyTooSoon) }
    offer.nextAnswer = now.advanced(by: surroundings.settings.resendInterval / 2)
    state = .initiated(offer, deadlines)
    awaited = .completion
    let initiation = offer.initiation
    let inner = packet.extracting(0..<RekeyHandshake.innerSize).array
    let profile = surroundings.configuration.profile
    let job = Self.job(withKeysOf: core.peer, in: surroundings) { keys throws(AuthenticationFailure) in
      try RekeyHandshake.completion(of: initiation, inner, keys: keys, profile: profile)
        .map { .rekeyCompleted($0.responderKeyID, $0.secrets) }
    }
    return [.work(.rekeyCompleted, job)]
  }

  /// Processes an authentic K2. Before C1 is sent, the new ratchet state replaces all others in the
  /// store.
  private mutating func completionRead(
    _ keyID: KeyID, secrets: SessionSecrets, held: inout HeldStates, peer: PublicKey,
    in surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    guard case .initiated(let offer, _) = state else { return [] }
    // The peer has begun a new handshake since it answered, and forgets the outcome of K1. R1 ends
    // by its timeout.
    // [DEC-64] [DEC-70]
    guard offer.revoked.allows(secrets.ratchet.fingerprint, since: 0) else { return [.drop(.superseded)] }
    awaited = .swapOfCompletion(keyID, secrets)
    return [
      held.swapOnProof(to: RatchetPair(secrets.ratchet), since: held.revision, of: peer, in: surroundings, at: now)
    ]
  }

  /// R1 → S1.
  private mutating func complete(
    _ keyID: KeyID, secrets: SessionSecrets, held: inout HeldStates, core: inout SessionCore
  ) -> Step {
    guard case .initiated = state else { return .stay([]) }
    // [KK-12]
    held.swapped(to: RatchetPair(secrets.ratchet))
    let erased = core.keys.use(
      SessionKey(
        secrets, role: .initiator, localID: offeredKeyID, remoteID: keyID, firstCounter: core.keys.counter))
    offeredKeyID = .none
    state = .idle
    return .completed(erased.map { [.release($0)] } ?? [])
  }

  // MARK: As responder: S2 or R1, R2, S2

  /// Processes a K1. It is accepted in S2. In R1 it is accepted by the responder of XK only, so
  /// that one of two K1 wins.
  mutating func initiationReceived(
    _ packet: RawSpan, under key: SessionKey, held: HeldStates, core: borrowing SessionCore,
    in surroundings: Surroundings, at now: Instant
  ) throws(Dropped) -> [Action] {
    guard key === core.keys.current else { throw Dropped(.unexpected) }
    switch state {
    // [KK-10]
    case .idle: break
    case .initiated where core.role == .responder: break
    default: throw Dropped(.unexpected)
    }
    // [DEC-34] [DEC-35] [DEC-36]
    guard awaited == nil else { throw Dropped(.busy) }
    guard peerPace.take(surroundings.settings.rekeyPace, at: now) else { throw Dropped(.rekeyTooSoon) }
    let inner = packet.extracting(0..<RekeyHandshake.innerSize).array
    let ratchet = held.pair.state1
    let profile = surroundings.configuration.profile
    let provider = surroundings.provider
    let job = Self.job(withKeysOf: core.peer, in: surroundings) { keys throws(AuthenticationFailure) in
      try RekeyHandshake.response(to: inner, keys: keys, ratchet: ratchet, profile: profile, provider: provider)
        .map { .rekeyReceived($0) }
    }
    awaited = .response
    // S2 lasts long. A request that is never answered must not block the next K1.
    // [DEC-13]
    abandonDeadline = now.advanced(by: surroundings.settings.handshakeTimeout)
    return [.work(.rekeyReceived, job)]
  }

  /// Processes an authentic K1 and the computed K2. Before K2 is sent, the new ratchet state is
  /// stored beside the old one.
  private mutating func initiationRead(
    _ response: RekeyHandshake.Response, held: inout HeldStates, peer: PublicKey, in surroundings: Surroundings,
    at now: Instant, drawKeyID: () -> KeyID
  ) -> [Action] {
    var response = response
    var actions = answeredKeyID == .none ? [] : [Action.release(answeredKeyID)]
    // [KK-2]
    let keyID = drawKeyID()
    answeredKeyID = keyID
    let (packet, secrets) = response.finish(keyID: keyID)
    // [DEC-62] [KK-11]
    let answer = Answer(packet: packet, localID: keyID, remoteID: response.initiatorKeyID, secrets: secrets)
    awaited = .swapOfAnswer(answer)
    abandonDeadline = now.advanced(by: surroundings.settings.handshakeTimeout)
    actions.append(held.swapOnProof(to: answer.outcome(beside: held.pair), of: peer, in: surroundings, at: now))
    return actions
  }

  /// S2 or R1 → R2.
  private mutating func enterR2(
    _ answer: Answer, held: inout HeldStates, core: inout SessionCore, in surroundings: Surroundings,
    at now: Instant
  ) -> [Action] {
    held.swapped(to: answer.outcome(beside: held.pair))
    var actions = releaseOfferedKeyID()
    // Making room for the new key erases the previous one (section 7).
    // [KK-15]
    let erased = core.keys.prepare(
      SessionKey(
        answer.secrets, role: .responder, localID: answer.localID, remoteID: answer.remoteID,
        firstCounter: core.keys.counter))
    #if KeyLog
      if let headers = core.keys.directionalHeaders(.responder) {
        surroundings.configuration.keyLog?.record(
          answer.secrets, answer.remoteID, answer.localID, headers: headers, role: .responder)
      }
    #endif
    if let erased { actions.append(.release(erased)) }
    answeredKeyID = .none
    // [TIME-8]
    state = .answered(packet: answer.packet, Deadlines(surroundings.settings, at: now))
    // [KK-11]
    return actions
      + core.send(
        .rekeyComplete, body: answer.packet, under: core.keys.current, configuration: surroundings.configuration)
  }

  // [KK-13]
  /// Processes a C1 under the new key: the peer has the new ratchet state, so the older one can be
  /// dropped.
  mutating func confirmationReceived(
    held: inout HeldStates, core: borrowing SessionCore, in surroundings: Surroundings, at now: Instant
  ) throws(Dropped) -> [Action] {
    guard case .answered = state else { throw Dropped(.unexpected) }
    // [DEC-12]
    guard awaited == nil else { throw Dropped(.busy) }
    awaited = .swapOfConfirmation
    return [held.dropOlder(of: core.peer, in: surroundings, at: now)]
  }

  /// R2 → S2.
  private mutating func confirm(held: inout HeldStates, core: inout SessionCore) -> Step {
    guard case .answered = state else { return .stay([]) }
    held.droppedOlder()
    // [KK-13]
    core.keys.usePrepared()
    state = .idle
    return .confirmed
  }

  // MARK: Answers

  private mutating func takeAwaited() -> Awaited? {
    abandonDeadline = .distantFuture
    return awaited.take()
  }

  /// Ignores the answer to any open request.
  mutating func stopWaiting() { _ = takeAwaited() }

  /// Processes an answer of the store.
  mutating func answered(
    _ answer: StoreAnswer, held: inout HeldStates, core: inout SessionCore, in surroundings: Surroundings,
    at now: Instant
  ) -> Step {
    let awaited = takeAwaited()
    switch HeldStates.Outcome(answer) {
    case .swapped: break
    // [DEC-48] [RAT-8]
    case .conflict: return .stay([.drop(.ratchetConflict), .end(.ratchetConflict)])
    case .failed: return .stay([.drop(.storeFailed)])
    }
    switch awaited {
    case .swapOfAnswer(let answer): return .stay(enterR2(answer, held: &held, core: &core, in: surroundings, at: now))
    case .swapOfCompletion(let keyID, let secrets):
      #if KeyLog
        if let headers = core.keys.directionalHeaders(.initiator) {
          surroundings.configuration.keyLog?.record(
            secrets, offeredKeyID, keyID, headers: headers, role: .initiator)
        }
      #endif
      return complete(keyID, secrets: secrets, held: &held, core: &core)
    case .swapOfConfirmation: return confirm(held: &held, core: &core)
    // Not a request to the store.
    case .initiation, .response, .completion, nil: return .stay([.drop(.storeFailed)])
    }
  }

  /// Processes the result of public-key work.
  mutating func completed(
    _ outcome: PublicKeyResult.Outcome, held: inout HeldStates, core: inout SessionCore,
    in surroundings: Surroundings, at now: Instant, drawKeyID: () -> KeyID
  ) -> [Action] {
    switch (takeAwaited(), outcome) {
    case (.initiation, .rekey(let initiation)): return initiated(initiation, core: &core, in: surroundings, at: now)
    case (.response, .rekeyReceived(let response)):
      return initiationRead(response, held: &held, peer: core.peer, in: surroundings, at: now, drawKeyID: drawKeyID)
    case (.completion, .rekeyCompleted(let keyID, let secrets)):
      return completionRead(keyID, secrets: secrets, held: &held, peer: core.peer, in: surroundings, at: now)
    // [KK-16]
    default: return [.drop(.notAuthentic), .end(.rekeyNotAuthentic)]
    }
  }

  // MARK: Timers

  // [KK-9] [TIME-7] [TIME-8]
  /// Resends K1 or K2.
  mutating func resend(
    core: inout SessionCore, configuration: borrowing EndpointConfiguration, at now: Instant
  ) -> [Action] {
    switch state {
    case .idle: return []
    case .initiated(let offer, let deadlines):
      state = .initiated(offer, deadlines.resent(configuration.settings, at: now))
      return core.send(
        .rekeyInit, body: offer.initiation.packet, under: core.keys.current, configuration: configuration)
    case .answered(let packet, let deadlines):
      state = .answered(packet: packet, deadlines.resent(configuration.settings, at: now))
      return core.send(.rekeyComplete, body: packet, under: core.keys.current, configuration: configuration)
    }
  }
}

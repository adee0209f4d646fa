// SPDX-License-Identifier: Apache-2.0

/// The states of a session after its handshake, with what the store holds for the peer.
///
/// Two machines run one above the other. Each input goes to the one whose turn it is, and a step of
/// the re-key begins the confirmation anew:
///
/// | states | machine | continues in |
/// |---|---|---|
/// | S1, S2 | ``Confirmation`` | R1, R2 |
/// | R1, R2 | ``Rekey`` | S1, S2 |
struct Established {
  private var held: HeldStates
  private var confirmation: Confirmation
  private var rekey = Rekey()

  /// Enters S1.
  init(unconfirmed held: HeldStates, _ settings: Settings, at now: Instant) {
    self.held = held
    confirmation = Confirmation(unconfirmedAt: now, settings)
  }

  /// Enters S2.
  init(confirmed held: HeldStates, keys: inout SessionKeys, in surroundings: Surroundings, at now: Instant) {
    self.held = held
    confirmation = Confirmation(confirmedAt: now, keys: &keys, in: surroundings)
  }

  // MARK: Properties

  /// The state's name in the specification.
  var name: String { rekey.name ?? confirmation.name }
  /// The mark of the last swap that changed the peer's row.
  var lastSwap: PeerDirectory.Mark { held.lastSwap }
  /// The chain length of the newest state that the store holds.
  var chainLength: UInt64 { held.pair.state1.chainLength }
  /// The ids of offered keys.
  var offeredKeyIDs: [KeyID] { rekey.offeredKeyIDs }
  /// The time at which the awaited answer is abandoned.
  var abandonDeadline: Instant { rekey.abandonDeadline }

  /// The end of the state, or in S2 the time of the next re-key, and the next resend of the state's
  /// packet.
  var deadlines: (end: Instant, resend: Instant) {
    rekey.deadlines ?? (confirmation.deadline, confirmation.resendDeadline)
  }

  // MARK: Packets

  /// Processes an authentic control packet under `key`.
  mutating func controlReceived(
    _ type: PacketType, body packet: RawSpan, under key: SessionKey, core: inout SessionCore,
    in surroundings: Surroundings, at now: Instant
  ) throws(Dropped) -> [Action] {
    switch type {
    case .keyConfirm: return try keyConfirmReceived(under: key, core: &core, in: surroundings, at: now)
    case .acknowledge: return try acknowledgeReceived(under: key, core: &core, in: surroundings, at: now)
    case .rekeyInit:
      guard confirmation.isConfirmed else { throw Dropped(.unexpected) }
      return try rekey.initiationReceived(packet, under: key, held: held, core: core, in: surroundings, at: now)
    case .rekeyComplete: return try rekey.answerReceived(packet, under: key, core: core, in: surroundings, at: now)
    case .rejected: return try goodbyeReceived(under: key, core: core)
    // [CTRL-5]
    default: throw Dropped(.unexpected)
    }
  }

  /// Processes a C1: the peer has the key.
  private mutating func keyConfirmReceived(
    under key: SessionKey, core: inout SessionCore, in surroundings: Surroundings, at now: Instant
  ) throws(Dropped) -> [Action] {
    // [CTRL-4]
    if key === core.keys.current {
      return core.send(.acknowledge, under: key, configuration: surroundings.configuration)
    }
    return try rekey.confirmationReceived(held: &held, core: core, in: surroundings, at: now)
  }

  /// Processes a C2: the peer uses the key.
  private mutating func acknowledgeReceived(
    under key: SessionKey, core: inout SessionCore, in surroundings: Surroundings, at now: Instant
  ) throws(Dropped) -> [Action] {
    guard key === core.keys.current else { return [] }
    let answer = core.liveness.answered(at: now)
    // [CTRL-3] [KK-14]
    guard !confirmation.isConfirmed else {
      // [DEC-83]
      return answer.isAnswer ? [.emit(.answered(core.id, roundTrip: answer.roundTrip))] : []
    }
    if let request = try confirmation.acknowledged(&held, core: core, in: surroundings, at: now) { return [request] }
    return confirmed(core: &core, in: surroundings, at: now)
  }

  // [DEC-84]
  /// Processes a D: the peer has closed the session. It is valid only under a key that the peer may
  /// be sending with.
  private func goodbyeReceived(under key: SessionKey, core: borrowing SessionCore) throws(Dropped) -> [Action] {
    // In S2 and R1 the peer no longer sends with the other key.
    let usesEither = !confirmation.isConfirmed || rekey.isAnswered
    guard key === core.keys.current || usesEither else { throw Dropped(.unexpected) }
    return [.end(.closedByPeer)]
  }

  // MARK: Answers

  /// Processes an answer of the store.
  mutating func answered(
    _ answer: StoreAnswer, core: inout SessionCore, in surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    if confirmation.isWaiting { return olderDropped(answer, core: &core, in: surroundings, at: now) }
    return rekeyAnswered(answer, core: &core, in: surroundings, at: now)
  }

  /// Processes the answer of the store to the request to drop the older state in S1.
  private mutating func olderDropped(
    _ answer: StoreAnswer, core: inout SessionCore, in surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    confirmation.answered()
    switch HeldStates.Outcome(answer) {
    // [DEC-48] [RAT-8]
    case .conflict: return [.drop(.ratchetConflict), .end(.ratchetConflict)]
    // [RAT-9]
    case .failed: return [.drop(.storeFailed)]
    case .swapped:
      held.droppedOlder()
      let actions = confirmed(core: &core, in: surroundings, at: now)
      held.recordProgress(of: core.peer, in: surroundings, at: now)
      return actions
    }
  }

  /// S1 → S2.
  private mutating func confirmed(
    core: inout SessionCore, in surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    let isRekeyed = core.keys.other != nil
    confirmation = Confirmation(confirmedAt: now, keys: &core.keys, in: surroundings)
    return [isRekeyed ? rekeyed(core: &core) : .emit(.confirmed(core.id))]
  }

  private func rekeyed(core: inout SessionCore) -> Action {
    core.countRekey()
    return .emit(.rekeyed(core.id, chainLength: chainLength))
  }

  private mutating func rekeyAnswered(
    _ answer: StoreAnswer, core: inout SessionCore, in surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    let actions: [Action]
    switch rekey.answered(answer, held: &held, core: &core, in: surroundings, at: now) {
    case .stay(let given): actions = given
    // [KK-12]
    case .completed(let given):
      confirmation = Confirmation(unconfirmedAt: now, surroundings.settings)
      actions = given + core.probe(under: core.keys.current, configuration: surroundings.configuration, at: now)
    // [KK-13]
    case .confirmed:
      confirmation = Confirmation(confirmedAt: now, keys: &core.keys, in: surroundings)
      actions =
        [rekeyed(core: &core)]
        + core.send(.acknowledge, under: core.keys.current, configuration: surroundings.configuration)
    }
    if case .swapped = answer { held.recordProgress(of: core.peer, in: surroundings, at: now) }
    return actions
  }

  /// Processes the result of public-key work.
  mutating func completed(
    _ outcome: PublicKeyResult.Outcome, core: inout SessionCore, in surroundings: Surroundings, at now: Instant,
    drawKeyID: () -> KeyID
  ) -> [Action] {
    rekey.completed(outcome, held: &held, core: &core, in: surroundings, at: now, drawKeyID: drawKeyID)
  }

  /// Ignores the answer to any open request.
  mutating func stopWaiting() {
    confirmation.answered()
    rekey.stopWaiting()
  }

  // [DEC-64]
  /// Records that the peer has begun a handshake without the state of this name.
  mutating func revoke(_ name: Fingerprint) { rekey.revoke(name) }

  // MARK: Timers

  // [DEC-13]
  /// Abandons the answer that ``abandonDeadline`` limits.
  mutating func abandonAnswer() { rekey.stopWaiting() }

  /// Resends the packet of the state: the resend column of section 11.
  mutating func resend(
    core: inout SessionCore, configuration: borrowing EndpointConfiguration, at now: Instant
  ) -> [Action] {
    if rekey.deadlines != nil { return rekey.resend(core: &core, configuration: configuration, at: now) }
    return confirmation.resend(&core, configuration: configuration, at: now)
  }

  /// Processes the end of the state: the timeout column of section 11.
  mutating func timedOut(
    peer: PublicKey, in surroundings: Surroundings, at now: Instant, drawKeyID: () -> KeyID
  ) -> [Action] {
    // [TIME-7] [TIME-8]
    if rekey.deadlines != nil { return [.end(.rekeyTimeout)] }
    // [TIME-5]
    guard confirmation.isConfirmed else { return [.end(.notConfirmed)] }
    // [KK-1] [TIME-6]
    return beginRekey(with: peer, in: surroundings, at: now, drawKeyID: drawKeyID)
  }

  // MARK: Beginning a re-key

  /// Returns true if the application may replace the key now.
  func mayRekey(_ settings: Settings, at now: Instant) -> Bool {
    confirmation.isConfirmed && rekey.mayBegin(settings, at: now)
  }

  /// True if a re-key can begin because the key was used often: in S2, when nothing is awaited.
  var canBeginRekey: Bool { confirmation.isConfirmed && rekey.deadlines == nil && !rekey.isWaiting }

  /// Begins a re-key in S2.
  mutating func beginRekey(
    with peer: PublicKey, in surroundings: Surroundings, at now: Instant, drawKeyID: () -> KeyID
  ) -> [Action] {
    let settings = surroundings.settings
    guard !rekey.isWaiting else {
      // The peer's K1 is being processed, which has the same result. Check again soon.
      confirmation.postpone(until: now.advanced(by: settings.resendInterval))
      return []
    }
    // If the work is never completed, the timer begins it again.
    let deadline = now.advanced(by: settings.handshakeTimeout)
    confirmation.postpone(until: deadline)
    return rekey.begin(held, with: peer, in: surroundings, until: deadline, at: now, drawKeyID: drawKeyID)
  }

  // MARK: Tests

  /// The states that the store holds for the peer.
  var heldStates: RatchetPair { held.pair }

  /// Resets the limit of this side's re-keys.
  mutating func forgetPace() { rekey.forgetPace() }
}

// SPDX-License-Identifier: Apache-2.0

/// One session with one peer, from the first Hello, or the acceptance of one, to its end.
///
/// One machine at a time controls it. Each input goes to that machine:
///
/// | states | machine | continues in |
/// |---|---|---|
/// | A1, A3 | ``Opening`` | S2; S1 if the peer's handshake takes its place |
/// | S1, S2, R1, R2 | ``Established``, with ``Confirmation`` and ``Rekey`` | – |
///
/// B2 is not among them: see ``HalfOpenHandshake``. Inputs return the actions to execute. An input
/// that does not fit the state is a dropped packet.
final class Session: TimerEntry, ReassemblyHolder, Waiting {
  /// The position of the session in ``KeyCache``.
  var cachePlace = KeyCache.Place()
  /// The part that all states have.
  private(set) var core: SessionCore

  /// The machine of A1 and A3; otherwise nil.
  private var opening: Opening?
  /// The machines of S1, S2, R1 and R2; nil in A1 and A3.
  private var established: Established?

  var ticket = PendingOperations.Ticket()
  var reassembly: SessionReassembly
  var reassemblyPlace = ReassemblyMemory.Place()

  private init(_ core: consuming SessionCore, settings: Settings) {
    self.core = core
    reassembly = SessionReassembly(
      limits: .init(packets: settings.reassemblyPackets, bytes: settings.reassemblyLimit),
      timeout: settings.reassemblyTimeout)
  }

  /// Creates a session that this side opens. It waits for ``begin(in:at:)``.
  convenience init(opening: Opening, to peer: PublicKey, at address: Address, id: SessionID, _ settings: Settings) {
    self.init(SessionCore(id, role: .initiator, peer: peer, address: address), settings: settings)
    self.opening = opening
  }

  /// Creates a session that the peer has opened. It waits for ``accept(_:in:at:)``.
  convenience init(acceptedFrom peer: PublicKey, at address: Address, id: SessionID, _ settings: Settings) {
    self.init(SessionCore(id, role: .responder, peer: peer, address: address), settings: settings)
  }

  // MARK: Properties

  var id: SessionID { core.id }
  var peer: PublicKey { core.peer }
  var address: Address { core.address }

  // [CTRL-6]
  /// True if data may be sent.
  var canSend: Bool { opening == nil }
  /// True while this side's own attempt is under way, without a key to send with.
  var isOpening: Bool { opening != nil }
  /// The mark of the last swap that changed the peer's row.
  var lastSwap: PeerDirectory.Mark { established?.lastSwap ?? .first }

  /// The state's name in the specification.
  var stateName: String {
    if let opening { return opening.name }
    return established?.name ?? "S1"
  }

  /// True if the responder of an attempt has asked for a proof of work.
  var wasChallenged: Bool { opening?.wasChallenged ?? false }

  /// The reason of the last restart of the handshake, or the fault of the answers to the present
  /// one.
  var lastRestart: RestartReason? {
    if let opening, opening.forgedBodies > 0 { return .notAuthentic }
    return core.lastRestart
  }

  /// The end of the state, or in S2 the time of the next re-key, and the next resend of the state's
  /// packet.
  var stateDeadlines: (end: Instant, resend: Instant) {
    if let opening { return (opening.deadline, opening.resendDeadline) }
    return established?.deadlines ?? (.distantFuture, .distantFuture)
  }

  /// The earliest deadline of everything that the session waits for.
  var nextDeadline: Instant {
    let ofState = stateDeadlines
    let ofKeys = min(established?.abandonDeadline ?? .distantFuture, core.keys.previousDeadline)
    let ofOthers = min(core.liveness.deadline, reassembly.nextDeadline ?? .distantFuture)
    return min(min(ofState.end, ofState.resend), min(ofKeys, ofOthers))
  }

  /// The ids of offered keys.
  var offeredKeyIDs: [KeyID] { (opening?.offeredKeyIDs ?? []) + (established?.offeredKeyIDs ?? []) }

  /// True while an answer is awaited.
  var isWaiting: Bool { ticket.isOpen }

  // MARK: Beginning

  /// Begins the attempt.
  func begin(in surroundings: Surroundings, at now: Instant) -> [Action] {
    opening?.begin(core: &core, settings: surroundings.settings, at: now) ?? []
  }

  /// The result of the peer's handshake.
  struct Acceptance {
    let identity: [UInt8]
    let address: Address
    let headerKeys: HeaderKeyPair
    let key: SessionKey
    let held: HeldStates
    let downgradedFrom: UInt64?
    /// The request by which the application accepted the peer.
    let request: RequestID?
  }

  /// Abandons this side's own attempt, if there is one, in favour of the peer's handshake.
  func giveWay(in surroundings: Surroundings) -> [Action] {
    guard let opening else { return [] }
    surroundings.directory.finish(surroundings.place(id), with: peer)
    defer { self.opening = nil }
    return opening.forget(core: &core, in: surroundings)
  }

  /// Enters S1, after the peer's handshake was accepted and stored.
  func accept(_ acceptance: Acceptance, in surroundings: Surroundings, at now: Instant) -> [Action] {
    opening = nil
    core.become(.responder, at: acceptance.address)
    core.keys.setHeaders(acceptance.headerKeys)
    _ = core.keys.use(acceptance.key)
    core.countHandshake()
    established = Established(unconfirmed: acceptance.held, surroundings.settings, at: now)
    core.liveness.begin(in: surroundings, at: now)
    var actions: [Action] = []
    // [MODE-6] [XK-30]
    if let chainLength = acceptance.downgradedFrom {
      actions.append(.emit(.downgraded(id, peer: peer, heldChainLength: chainLength)))
    }
    actions.append(
      establish(
        identity: acceptance.identity, downgradedFrom: acceptance.downgradedFrom, acceptance: acceptance.request))
    acceptance.held.recordProgress(of: peer, in: surroundings, at: now)
    // [XK-32]
    return actions + core.probe(under: core.keys.current, configuration: surroundings.configuration, at: now)
  }

  private func establish(identity: [UInt8], downgradedFrom: UInt64?, acceptance: RequestID?) -> Action {
    .establish(
      Establishment(
        peer: peer, role: core.role, identity: identity, address: address,
        chainLength: established?.chainLength ?? 0, downgradedFrom: downgradedFrom, acceptance: acceptance),
      swap: lastSwap)
  }

  // MARK: Packets

  /// Returns true if the session expects a header of X2, in A1 (section 5).
  func expectsResponse(_ header: FragmentHeader) -> Bool {
    // [HDR-3] [XK-18]
    header.counter < 1 << 24 && opening?.awaitsResponse(under: header.keyID) == true
  }

  /// Processes a complete X2.
  func responseReceived(
    _ packet: RawSpan, header: FragmentHeader, in surroundings: Surroundings
  ) throws(Dropped) -> [Action] {
    guard let opening else { throw Dropped(.unexpected) }
    return try opening.responseReceived(packet, header: header, in: surroundings)
  }

  /// Processes a challenge for a key id of the session.
  func challengeReceived(
    _ challenge: ChallengeResponse, for keyID: KeyID, provider: any CryptoProvider
  ) throws(Dropped) -> [Action] {
    // [CHAL-10]
    guard let opening else { throw Dropped(.unexpectedChallenge) }
    return try opening.challengeReceived(challenge, for: keyID, provider: provider)
  }

  /// Processes an authentic control packet under `key`.
  func controlReceived(
    _ type: PacketType, body packet: RawSpan, counter: UInt64, under key: SessionKey, in surroundings: Surroundings,
    at now: Instant
  ) throws(Dropped) -> [Action] {
    if let opening {
      switch type {
      case .keyConfirm: return try opening.confirmationReceived(under: key, core: core, in: surroundings, at: now)
      case .rejected: return try opening.rejectionReceived(counter: counter, under: key, core)
      // [CTRL-3]
      case .acknowledge: return []
      default: throw Dropped(.unexpected)
      }
    }
    let actions = try established?.controlReceived(
      type, body: packet, under: key, core: &core, in: surroundings, at: now)
    guard let actions else { throw Dropped(.unexpected) }
    return actions
  }

  // MARK: Answers

  /// Processes an answer of the store.
  func answered(
    _ answer: StoreAnswer, in surroundings: Surroundings, at now: Instant, drawKeyID: () -> KeyID
  ) -> [Action] {
    if let opening {
      switch opening.answered(answer, core: &core, in: surroundings, at: now, drawKeyID: drawKeyID) {
      case .stay(let actions): return actions
      case .confirmed(let held, let downgradedFrom):
        return opened(held, identity: opening.identity, downgradedFrom: downgradedFrom, in: surroundings, at: now)
      }
    }
    return established?.answered(answer, core: &core, in: surroundings, at: now) ?? []
  }

  /// A3 → S2.
  private func opened(
    _ held: HeldStates, identity: [UInt8], downgradedFrom: UInt64?, in surroundings: Surroundings, at now: Instant
  ) -> [Action] {
    // Answers of the store may arrive out of order. A session whose swap was earlier is the older
    // one, even if its answer arrives later.
    // [DEC-47]
    guard surroundings.directory.progress(of: peer) <= held.lastSwap else { return [.end(.replaced)] }
    // [CTRL-2]
    core.keys.usePrepared()
    established = Established(confirmed: held, keys: &core.keys, in: surroundings, at: now)
    opening = nil
    core.liveness.begin(in: surroundings, at: now)
    surroundings.directory.finish(surroundings.place(id), with: peer)
    held.recordProgress(of: peer, in: surroundings, at: now)
    let actions = [establish(identity: identity, downgradedFrom: downgradedFrom, acceptance: nil)]
    // [CTRL-2]
    return actions + core.send(.acknowledge, under: core.keys.current, configuration: surroundings.configuration)
  }

  /// Processes the result of public-key work.
  func completed(
    _ outcome: PublicKeyResult.Outcome, in surroundings: Surroundings, at now: Instant, drawKeyID: () -> KeyID
  ) -> [Action] {
    if let opening { return opening.completed(outcome, core: &core, in: surroundings, at: now) }
    return established?.completed(outcome, core: &core, in: surroundings, at: now, drawKeyID: drawKeyID) ?? []
  }

  // MARK: Timers and the application

  /// Erases the previous key, if its time for late packets is over.
  func erasePreviousKey(at now: Instant) -> [Action] {
    // [DEC-39]
    guard core.keys.previousDeadline <= now, let erased = core.keys.erasePrevious() else { return [] }
    return [.release(erased)]
  }

  // [DEC-13]
  /// Abandons an answer that did not arrive in time.
  func abandonAnswer(at now: Instant) -> [Action] {
    guard let deadline = established?.abandonDeadline, deadline <= now else { return [] }
    established?.abandonAnswer()
    return [.stopWaiting]
  }

  /// Ignores the answer to any open request.
  func stopWaiting() {
    opening?.stopWaiting()
    established?.stopWaiting()
  }

  /// Does everything that is due in the present state.
  func stateDue(in surroundings: Surroundings, at now: Instant, drawKeyID: () -> KeyID) -> [Action] {
    let deadlines = stateDeadlines
    if deadlines.end <= now { return timedOut(in: surroundings, at: now, drawKeyID: drawKeyID) }
    guard deadlines.resend <= now else { return [] }
    // [TIME-1]
    if let opening { return opening.resend(core: core, in: surroundings, at: now) }
    return established?.resend(core: &core, configuration: surroundings.configuration, at: now) ?? []
  }

  /// Processes the end of the state: the timeout column of section 11.
  private func timedOut(in surroundings: Surroundings, at now: Instant, drawKeyID: () -> KeyID) -> [Action] {
    if let opening { return opening.timedOut(core: &core, in: surroundings, at: now) }
    return established?.timedOut(peer: peer, in: surroundings, at: now, drawKeyID: drawKeyID) ?? []
  }

  /// Returns true if the application may replace the key now.
  func mayRekey(_ settings: Settings, at now: Instant) -> Bool {
    established?.mayRekey(settings, at: now) ?? false
  }

  /// True if a re-key can begin because the key was used often: in S2, when nothing is awaited.
  var canBeginRekey: Bool { established?.canBeginRekey ?? false }

  /// Begins a re-key in S2.
  func beginRekey(in surroundings: Surroundings, at now: Instant, drawKeyID: () -> KeyID) -> [Action] {
    established?.beginRekey(with: peer, in: surroundings, at: now, drawKeyID: drawKeyID) ?? []
  }

  // [DEC-84]
  /// Returns D, for a session that is established and that the application closes.
  func goodbye(_ configuration: borrowing EndpointConfiguration) -> [Action] {
    guard established != nil else { return [] }
    return core.send(.rejected, under: core.keys.current, configuration: configuration)
  }

  // [DEC-83]
  /// Does everything that is due after a silence of the peer.
  func silenceDue(in surroundings: Surroundings, at now: Instant) -> [Action] {
    guard established != nil else { return [] }
    switch core.liveness.due(in: surroundings, at: now) {
    case .nothing: return []
    case .probe: return core.probe(under: core.keys.current, configuration: surroundings.configuration, at: now)
    case .end: return [.end(.peerSilent)]
    }
  }

  /// Probes the peer, if the session is established.
  func probe(_ configuration: borrowing EndpointConfiguration, at now: Instant) -> [Action] {
    established == nil ? [] : core.probe(under: core.keys.current, configuration: configuration, at: now)
  }

  // [DEC-64]
  /// Records that the peer has begun a handshake without the state of this name.
  func revoke(_ name: Fingerprint) { established?.revoke(name) }

  /// Ends the session: ignores later answers, and erases all keys.
  ///
  /// - Returns: the ids of the keys, including offered ones.
  func erase() -> [KeyID] {
    stopWaiting()
    return offeredKeyIDs + core.keys.erase()
  }

  // MARK: Data

  /// Returns the key that has `keyID` on this side.
  func key(_ keyID: KeyID) -> SessionKey? { core.keys.key(keyID) }

  /// Marks the counter of an authentic packet as used. If the packet is the newest, of whatever
  /// type, its source is the peer's present address (section 14).
  ///
  /// - Returns: nil if its counter is no longer acceptable; otherwise true if the path has changed.
  func accept(_ counter: UInt64, from source: Address, at now: Instant) -> Bool? {
    // [CTR-7]
    guard let isNewest = core.keys.accept(counter) else { return nil }
    core.liveness.received(at: now)
    // [DEC-30] [DEC-31]
    return isNewest && core.isElsewhere(source)
  }

  /// Sends to another address from now on.
  func move(to address: Address) { core.move(to: address) }

  /// Sets the largest datagram of data, in bytes; nil for that of the settings. Returns the
  /// resulting limit.
  func setDatagramLimit(_ limit: Int?, settings: Settings) -> Int { core.setDatagramLimit(limit, settings: settings) }

  /// Caches the key that has removed the header protection of a genuine packet.
  func keep(receiving key: any HeaderKey) { core.keys.keep(receiving: key) }

  /// Counts delivered messages.
  func countReceived(messages: UInt64, bytes: UInt64, at now: Instant) {
    core.liveness.received(at: now)
    core.countReceived(messages: messages, bytes: bytes)
  }

  /// Calls `body` with the replay window, to open packets against it.
  @inline(__always)
  func withWindow<Result>(_ body: (inout ReplayWindow) -> Result) -> Result { core.keys.withWindow(body) }

  /// Takes out the context for sending, and makes it if it was evicted; nil before there is a key.
  @inline(__always)
  func takeSendContext(_ provider: any CryptoProvider) -> SendContext? {
    // The provider is not called while the keys are being changed: the run-time system would have
    // to record such a change, which takes a tenth of the time for a short message.
    if let path = core.keys.takeSendContext() { return path }
    return core.keys.makeSendContext(provider)
  }

  /// Puts the context for sending back, and counts the sent messages.
  @inline(__always)
  func giveBack(_ path: consuming SendContext, counter: UInt64, messages: Int, bytes: Int) {
    core.keys.giveBack(path, counter: counter)
    core.countSent(messages: messages, bytes: bytes)
  }

  /// Evicts all keyed objects. They are made again when they are used.
  func evictExpandedKeys() { core.keys.evictExpanded() }

  // MARK: Tests

  /// Continues with another counter, for tests.
  func skipCounters(to counter: UInt64) { core.keys.skip(to: counter) }

  /// The proof that a challenge to the present X1 must repeat, for tests; nil outside of A1 and A3.
  var challengeProof: UInt64? { opening?.challengeResponse.proof }

  /// The states that the store holds for the peer, for tests; nil in A1 and A3.
  var heldStates: RatchetPair? { established?.heldStates }

  /// Resets the limit of this side's re-keys, for tests.
  func forgetPace() { established?.forgetPace() }
}

// SPDX-License-Identifier: Apache-2.0

/// Executes the actions that the state machines return. No other code does.
extension Endpoint {
  // MARK: Sessions

  /// Executes the actions of a session's machine, and sets its timer.
  mutating func perform(_ actions: [Action], for session: Session, at now: Instant) {
    if let trace, peers.contains(session) { trace.noteState(session, at: now) }
    for action in actions { perform(action, for: session, at: now) }
    schedule(session)
  }

  private mutating func perform(_ action: Action, for session: Session, at now: Instant) {
    trace?.add(action, of: session)
    switch action {
    case .send(let packet):
      let headerKey = packet.isProtected ? session.core.keys.headerSendingKey(provider) : nil
      send(packet, to: session.address, under: headerKey, of: .session(session))
    case .ask(let request):
      let id = pending.ask(.session(session)) { .store($0, request) }
      trace?.add(request, id, of: .session(session))
      forgetUnverified(by: request)
    case .work(let kind, let job): requestWork(kind, for: .session(session), job: job)
    case .stopWaiting: pending.stopWaiting(session)
    case .release(let keyID):
      keyIDs.remove(keyID)
      memory.packets.drop(of: session) { $0.removeAll(under: keyID) }
    case .releaseAll(let ids): releaseKeys(ids, of: session)
    case .forgetIncomplete: memory.packets.drop(of: session) { $0.removeAll() }
    case .move(let address): move(session, to: address)
    case .emit(let event): journal.emit(event)
    case .drop(let reason): journal.drop(reason)
    case .establish(let establishment, let swap): announce(session, as: establishment, swap: swap)
    case .end(let reason): end(session, reason: reason)
    }
  }

  private mutating func releaseKeys(_ ids: [KeyID], of session: Session) {
    for keyID in ids { keyIDs.remove(keyID) }
    memory.keys.remove(session)
  }

  /// Reports that a session is established, and ends older sessions with its peer.
  private mutating func announce(
    _ session: Session, as establishment: Establishment, swap: PeerDirectory.Mark
  ) {
    for other in peers.older(than: session) { end(other, reason: .replaced) }
    journal.countSession()
    // A single endpoint ends older sessions itself.
    if configuration.directory != nil {
      surroundings.directory.recordMark(swap, of: surroundings.place(session.id), with: session.peer)
    }
    journal.emit(.established(session.id, establishment))
  }

  /// Puts the session's next deadline into the timer queue.
  mutating func schedule(_ session: Session) {
    guard peers.contains(session) else { return }
    timers.set(session, to: session.nextDeadline)
  }

  // [DEC-86]
  /// Sets the address that the session sends to. Emits ``Event/moved(_:from:to:)`` if the peer's
  /// address changed, but not if only this host's own address did.
  mutating func move(_ session: Session, to address: Address) {
    if address != session.address {
      journal.emit(.moved(session.id, from: session.address, to: address))
      trace?.add(.event("moved", details: "\(address)"), of: .session(session.id))
    }
    session.move(to: address)
  }

  mutating func beginRekey(_ session: Session, at now: Instant) {
    let actions = session.beginRekey(in: surroundings, at: now) { keyIDs.draw(for: .session(session), provider) }
    perform(actions, for: session, at: now)
  }

  // [DEC-84]
  /// Sends the peer a goodbye, which says that the session is closed.
  mutating func sendGoodbye(_ session: Session) {
    for case .send(let packet) in session.goodbye(configuration) {
      send(
        packet, to: session.address, under: session.core.keys.headerSendingKey(provider), of: .session(session))
    }
  }

  mutating func end(_ session: Session, reason: EndReason) {
    guard peers.contains(session) else { return }
    pending.stopWaiting(session)
    releaseKeys(session.erase(), of: session)
    memory.packets.drop(of: session) { $0.removeAll() }
    timers.cancel(session)
    surroundings.directory.finish(surroundings.place(session.id), with: session.peer)
    peers.remove(session)
    trace?.add(.event("ended", details: reason.rawValue), of: .session(session.id))
    trace?.ended(session)
    journal.emit(.ended(session.id, reason))
  }

  // MARK: Half-open handshakes

  /// Executes the steps of a half-open handshake.
  mutating func perform(_ steps: [HalfOpenHandshake.Step], for handshake: HalfOpenHandshake, at now: Instant) {
    if let trace, hellos.contains(handshake) { trace.noteState(handshake, at: now) }
    for step in steps { perform(step, for: handshake, at: now) }
  }

  private mutating func perform(_ step: HalfOpenHandshake.Step, for handshake: HalfOpenHandshake, at now: Instant) {
    trace?.add(step, of: handshake)
    switch step {
    case .send(let packet):
      send(
        packet, to: handshake.address, under: handshake.headerSendingKey(provider), of: .halfOpen(handshake))
    case .ask(let request):
      let id = pending.ask(.halfOpen(handshake)) { .store($0, request) }
      trace?.add(request, id, of: .halfOpen(handshake))
      forgetUnverified(by: request)
    case .work(let kind, let job): requestWork(kind, for: .halfOpen(handshake), job: job)
    case .askApplication(let request):
      let id = pending.ask(.halfOpen(handshake)) { .accept($0, request) }
      handshake.asked(id)
      trace?.add(.acceptRequest(id), of: trace?.owner(handshake) ?? .endpoint)
    case .waitForRoom:
      guard hellos.mayWriteResponse(handshake) else { return }
      perform(handshake.writeResponse(configuration), for: handshake, at: now)
    case .revoke(let name, let peer):
      for other in hellos.handshakes(of: peer) { other.revoke(name) }
      for session in peers.sessions(with: peer) { session.revoke(name) }
    case .forgetIncomplete: memory.packets.drop(of: handshake) { $0.removeAll() }
    case .drop(let reason): journal.drop(reason)
    case .withdraw(let request, let reason): journal.emit(.withdrawn(request, reason))
    case .establish(let outcome): establish(handshake, with: outcome, at: now)
    case .forget(let reason): forget(handshake, reason: reason)
    }
  }

  /// Turns a completed handshake into a session. If this side is opening a session to the same
  /// peer, that one continues in the role of the responder; otherwise a new session is added.
  private mutating func establish(
    _ handshake: HalfOpenHandshake, with outcome: HalfOpenHandshake.Outcome, at now: Instant
  ) {
    let acceptance = outcome.acceptance
    let settings = settings
    let session: Session
    // [DEC-43]
    if let opening = peers.opening(to: outcome.peer) {
      session = opening
      perform(session.giveWay(in: surroundings), for: session, at: now)
    } else {
      session = peers.add { id in
        Session(acceptedFrom: outcome.peer, at: acceptance.address, id: id, settings)
      }
    }
    forget(handshake, reason: nil)
    keyIDs.set(acceptance.key.localID, to: .session(session))
    perform(session.accept(acceptance, in: surroundings, at: now), for: session, at: now)
  }

  /// Removes a handshake.
  ///
  /// - Parameter reason: why no session results, which is counted. Nil if one does, or if it need
  ///   not be counted.
  mutating func forget(_ handshake: HalfOpenHandshake, reason: DropReason?) {
    if let reason {
      journal.drop(reason)
      trace?.add(.dropped(nil, reason), of: trace?.owner(handshake) ?? .endpoint)
    }
    if let request = handshake.end(&hellos.gate), let reason { journal.emit(.withdrawn(request, reason)) }
    pending.stopWaiting(handshake)
    guard hellos.remove(handshake) else { return }
    trace?.ended(handshake, as: reason == nil ? "done" : "forgotten")
    if handshake.keyID != .none { keyIDs.remove(handshake.keyID) }
    timers.cancel(handshake)
    memory.packets.drop(of: handshake) { $0.removeAll() }
    // [DEC-73]
    if let downgrade = handshake.takeUnreportedDowngrade() {
      reportDowngrade(of: downgrade.peer, from: downgrade.heldChainLength, address: handshake.address)
    }
  }

  // [DEC-73] [MODE-6]
  /// Reports the downgrade of a handshake that led to no session although the store may hold its
  /// outcome: before the store answered, it expired or a newer session was established. The report
  /// names a session that has ended.
  private mutating func reportDowngrade(of peer: PublicKey, from chainLength: UInt64, address: Address) {
    let settings = settings
    let id = peers.spendID { Session(acceptedFrom: peer, at: address, id: $0, settings) }
    journal.emit(.downgraded(id, peer: peer, heldChainLength: chainLength))
    journal.emit(.ended(id, .replaced))
  }

  // MARK: Requests

  // [DEC-66]
  /// Forgets the handshakes that have requested a row which `request` is about to change: the
  /// answer must not lead to an X2 any more. Their initiators resend the Hellos.
  private mutating func forgetUnverified(by request: StoreRequest) {
    guard case .compareAndSwap(let peer, _, _, _) = request else { return }
    for handshake in hellos.unverified(peer) { forget(handshake, reason: .busy) }
  }

  /// Requests public-key work.
  private mutating func requestWork(
    _ kind: PublicKeyWork.Kind, for owner: Owner, job: @escaping Action.Job
  ) {
    journal.countWork()
    if case .halfOpen(let handshake) = owner, kind.isCausedByStrangers { hellos.beginWork(on: handshake) }
    let provider = surroundings.provider
    let id = pending.ask(owner) { id in .work(PublicKeyWork(id: id, kind: kind, provider: provider, job: job)) }
    if let trace { trace.add(.work(id, kind), of: trace.owner(owner)) }
  }

  // MARK: Datagrams

  /// Cuts a packet of a handshake, or a control packet, into datagrams (section 5). Without a
  /// header key the headers stay unprotected, as those of X1 and challenges are.
  mutating func send(
    _ packet: OutgoingPacket, to address: Address, under headerKey: (any HeaderKey)?, of owner: Owner?
  ) {
    let before = outbox.tally
    let settings = surroundings.configuration.settings
    // [FRAG-1] [HDR-7] [DEC-85]
    outbox.append(
      fragmentsOf: packet.bytes.rawBytes, type: packet.type, counter: packet.counter, to: address, keyID: packet.keyID,
      under: headerKey, mtu: min(settings.mtu, settings.handshakeMTU))
    journal.countSent(from: before, to: outbox.tally)
    guard let trace else { return }
    let datagrams = outbox.tally.datagrams - before.datagrams
    trace.add(
      .sent(packet.type, size: packet.bytes.count, datagrams: datagrams, to: address), of: trace.owner(owner))
  }
}

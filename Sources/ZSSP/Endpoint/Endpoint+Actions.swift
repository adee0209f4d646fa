// SPDX-License-Identifier: Apache-2.0

/// What machines want done is done here, and nowhere else.
extension Endpoint {
  // MARK: Sessions

  /// Does what a session's machine returned, and sets its timer.
  mutating func perform(_ actions: [Action], for session: Session, at now: Instant) {
    for action in actions { perform(action, for: session, at: now) }
    schedule(session)
  }

  private mutating func perform(_ action: Action, for session: Session, at now: Instant) {
    switch action {
    case .send(let packet):
      let headerKey = packet.isProtected ? session.core.keys.headerSendingKey(provider) : nil
      send(packet, to: session.address, under: headerKey)
    case .ask(let request):
      pending.ask(.session(session)) { .store($0, request) }
      forgetUnverified(by: request)
    case .work(let kind, let job): requestWork(kind, for: .session(session), job)
    case .stopWaiting: pending.stopWaiting(session)
    case .release(let keyID):
      keyIDs.remove(keyID)
      memory.packets.drop(of: session) { $0.removeAll(under: keyID) }
    case .releaseAll(let ids): releaseKeys(ids, of: session)
    case .forgetIncomplete: memory.packets.drop(of: session) { $0.removeAll() }
    case .move(let address): move(session, to: address)
    case .emit(let event): journal.emit(event)
    case .drop(let reason): journal.drop(reason)
    case .establish(let establishment, let swap): announce(session, establishment, swap)
    case .end(let reason): end(session, reason)
    }
  }

  private mutating func releaseKeys(_ ids: [KeyID], of session: Session) {
    for keyID in ids { keyIDs.remove(keyID) }
    memory.keys.remove(session)
  }

  /// A session can carry data. It takes the place of older ones with its peer.
  private mutating func announce(_ session: Session, _ establishment: Establishment, _ swap: PeerDirectory.Mark) {
    for other in peers.older(than: session) { end(other, .replaced) }
    journal.countSession()
    // A single endpoint ends older sessions itself.
    if configuration.directory != nil {
      surroundings.directory.recordMark(swap, of: surroundings.place(session.id), with: session.peer)
    }
    journal.emit(.established(session.id, establishment))
  }

  /// Puts the session's next deadline into the queue.
  mutating func schedule(_ session: Session) {
    guard peers.contains(session) else { return }
    timers.set(session, to: session.nextDeadline)
  }

  // [DEC-86]
  /// Follows the peer to another address, or is reached at another, which is nobody's business.
  mutating func move(_ session: Session, to address: Address) {
    if address != session.address { journal.emit(.moved(session.id, from: session.address, to: address)) }
    session.move(to: address)
  }

  mutating func beginRekey(_ session: Session, at now: Instant) {
    let actions = session.beginRekey(surroundings, at: now) { keyIDs.draw(for: .session(session), provider) }
    perform(actions, for: session, at: now)
  }

  // [DEC-84]
  /// Tells the peer that the session is closed.
  mutating func sayGoodbye(_ session: Session) {
    for case .send(let packet) in session.goodbye(configuration) {
      send(packet, to: session.address, under: session.core.keys.headerSendingKey(provider))
    }
  }

  mutating func end(_ session: Session, _ reason: EndReason) {
    guard peers.contains(session) else { return }
    pending.stopWaiting(session)
    releaseKeys(session.erase(), of: session)
    memory.packets.drop(of: session) { $0.removeAll() }
    timers.cancel(session)
    surroundings.directory.finish(surroundings.place(session.id), with: session.peer)
    peers.remove(session)
    journal.emit(.ended(session.id, reason))
  }

  // MARK: Half-open handshakes

  /// Does what a half-open handshake returned.
  mutating func perform(_ steps: [HalfOpenHandshake.Step], for handshake: HalfOpenHandshake, at now: Instant) {
    for step in steps { perform(step, for: handshake, at: now) }
  }

  private mutating func perform(_ step: HalfOpenHandshake.Step, for handshake: HalfOpenHandshake, at now: Instant) {
    switch step {
    case .send(let packet): send(packet, to: handshake.address, under: handshake.headerSendingKey(provider))
    case .ask(let request):
      pending.ask(.halfOpen(handshake)) { .store($0, request) }
      forgetUnverified(by: request)
    case .work(let kind, let job): requestWork(kind, for: .halfOpen(handshake), job)
    case .askApplication(let request):
      handshake.asked(pending.ask(.halfOpen(handshake)) { .accept($0, request) })
    case .waitForRoom:
      guard hellos.mayWriteResponse(handshake) else { return }
      perform(handshake.writeResponse(configuration), for: handshake, at: now)
    case .revoke(let name, let peer):
      for other in hellos.handshakes(of: peer) { other.revoke(name) }
      for session in peers.sessions(with: peer) { session.revoke(name) }
    case .forgetIncomplete: memory.packets.drop(of: handshake) { $0.removeAll() }
    case .drop(let reason): journal.drop(reason)
    case .withdraw(let request, let reason): journal.emit(.withdrawn(request, reason))
    case .establish(let outcome): establish(handshake, outcome, at: now)
    case .forget(let reason): forget(handshake, reason)
    }
  }

  /// A handshake has come to a session: the one that this side is opening itself, which then goes on in the role of the
  /// responder, or a new one.
  private mutating func establish(
    _ handshake: HalfOpenHandshake, _ outcome: HalfOpenHandshake.Outcome, at now: Instant
  ) {
    let (acceptance, settings) = (outcome.acceptance, settings)
    let session: Session
    // [DEC-43]
    if let opening = peers.opening(to: outcome.peer) {
      session = opening
      perform(session.giveWay(surroundings), for: session, at: now)
    } else {
      session = peers.add { id in
        Session(acceptedFrom: outcome.peer, at: acceptance.address, id: id, settings)
      }
    }
    forget(handshake, nil)
    keyIDs.set(acceptance.key.localID, to: .session(session))
    perform(session.accept(acceptance, surroundings, at: now), for: session, at: now)
  }

  /// Forgets a handshake.
  ///
  /// - Parameter reason: why no session comes of it, which is counted; nil if one does, or nobody needs to know.
  mutating func forget(_ handshake: HalfOpenHandshake, _ reason: DropReason?) {
    if let reason { journal.drop(reason) }
    if let request = handshake.end(&hellos.gate), let reason { journal.emit(.withdrawn(request, reason)) }
    pending.stopWaiting(handshake)
    guard hellos.remove(handshake) else { return }
    if handshake.keyID != .none { keyIDs.remove(handshake.keyID) }
    timers.cancel(handshake)
    memory.packets.drop(of: handshake) { $0.removeAll() }
    // [DEC-73]
    if let downgrade = handshake.takeUnreportedDowngrade() {
      reportDowngrade(of: downgrade.peer, from: downgrade.heldChainLength, address: handshake.address)
    }
  }

  // [DEC-73] [MODE-6]
  /// Reports the downgrade of a handshake that came to no session, though the store may hold its outcome: it expired, or a newer
  /// session came up, before the store answered. The report names a session that is over.
  private mutating func reportDowngrade(of peer: PublicKey, from chainLength: UInt64, address: Address) {
    let settings = settings
    let id = peers.spendID { Session(acceptedFrom: peer, at: address, id: $0, settings) }
    journal.emit(.downgraded(id, peer: peer, heldChainLength: chainLength))
    journal.emit(.ended(id, .replaced))
  }

  // MARK: Requests

  // [DEC-66]
  /// Where a request is about to change a row, forgets the handshakes that asked what the row holds: the answer is no ground for
  /// an X2 any more. Their Hellos come again.
  private mutating func forgetUnverified(by request: StoreRequest) {
    guard case .compareAndSwap(let peer, _, _, _) = request else { return }
    for handshake in hellos.unverified(peer) { forget(handshake, .busy) }
  }

  /// Asks for public-key work.
  private mutating func requestWork(
    _ kind: PublicKeyWork.Kind, for owner: Owner, _ job: @escaping Action.Job
  ) {
    journal.countWork()
    if case .halfOpen(let handshake) = owner, kind.isCausedByStrangers { hellos.beginWork(on: handshake) }
    pending.ask(owner) { id in
      .work(PublicKeyWork(id: id, kind: kind) { do { return try job() } catch { return .failed } })
    }
  }

  // MARK: Datagrams

  /// Cuts a packet of a handshake, or of its control, into datagrams (section 5). Without a header key they go unprotected, as X1
  /// and challenges do.
  mutating func send(_ packet: OutgoingPacket, to address: Address, under headerKey: (any HeaderKey)?) {
    let before = outbox.tally
    let settings = surroundings.configuration.settings
    // [FRAG-1] [HDR-7] [DEC-85]
    outbox.append(
      fragmentsOf: packet.bytes.rawBytes, packet.type, packet.counter, to: address, packet.keyID, under: headerKey,
      mtu: min(settings.mtu, settings.handshakeMTU))
    journal.countSent(before, outbox.tally)
  }
}

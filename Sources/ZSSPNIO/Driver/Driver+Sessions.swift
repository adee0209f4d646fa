// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// The life of sessions.
extension Driver {
  /// Opens a session for a task that waits for `outcome`.
  func connect(_ request: ConnectRequest, for outcome: SessionOutcome) {
    guard !isClosed else { return _ = outcome.resolve(.failure(closingError)) }
    let id: SessionID
    do {
      id = try endpoint.open(
        to: request.key, at: request.address, identity: request.identity, flags: request.flags, now: now)
    } catch {
      return _ = outcome.resolve(.failure(.open(error)))
    }
    inboxes.inbox(of: id).setPeer(request.key)
    let bound = bound
    var timers = ConnectAttempts.Timers()
    timers.timeout = request.timeout.map { timeout in
      eventLoop.scheduleTask(in: .nanoseconds(max(0, timeout.nanoseconds))) { bound.value.connectTimedOut(id) }
    }
    timers.patience = request.patience.map { patienceTimer($0, of: id) }
    if environment.probes {
      let interval = TimeAmount.nanoseconds(endpoint.configuration.settings.resendInterval.nanoseconds)
      timers.probe = eventLoop.scheduleTask(in: interval) { bound.value.probe(id) }
    }
    attempts.begin(id, for: outcome, timers: timers)
    pump()
  }

  private func connectTimedOut(_ id: SessionID) {
    recordProgress(of: id)
    guard let attempt = attempts.end(id) else { return }
    attempt.outcome.resolve(.failure(.timeout(attempt.seen)))
    close(id)
  }

  /// Records what the state of an attempt's handshake shows of the peer.
  private func recordProgress(of id: SessionID) {
    guard let session = endpoint.session(id) else { return }
    if session.wasChallenged { attempts.record(.challenged, of: id) }
    if session.lastRestart == .notAuthentic { attempts.record(.notAuthentic, of: id) }
    if !isUnanswered(session) { attempts.record(.notConfirmed, of: id) }
  }

  /// Returns true if no responder has proved its key yet.
  private func isUnanswered(_ session: SessionDescription) -> Bool { session.state == "A1" }

  private func patienceTimer(_ patience: Duration, of id: SessionID) -> Scheduled<Void> {
    let bound = bound
    return eventLoop.scheduleTask(in: .nanoseconds(max(0, patience.nanoseconds))) {
      bound.value.patienceEnded(patience, of: id)
    }
  }

  /// Ends the attempt so that another address can be tried, unless the peer has answered at this
  /// one.
  private func patienceEnded(_ patience: Duration, of id: SessionID) {
    guard attempts.contains(id), let session = endpoint.session(id) else { return }
    guard isUnanswered(session) else { return attempts.setPatience(patienceTimer(patience, of: id), of: id) }
    connectTimedOut(id)
  }

  private func probe(_ id: SessionID) {
    guard attempts.contains(id), let session = endpoint.session(id), isUnanswered(session),
      let local = socket.localAddress
    else { return }
    attempts.setProbe(
      ReachProbe(to: session.address, from: local, configure: options.configureSocket ?? { _ in 0 }), of: id)
  }

  /// Abandons the attempt or acceptance that `outcome` belonged to, after its task was cancelled.
  func abandon(_ outcome: SessionOutcome) {
    if let id = acceptances.accepted(for: outcome), endpoint.cancelAccept(id) {
      _ = acceptances.end(id)
      return pump()
    }
    // A handshake whose states are being stored already becomes a session, which is closed then.
    if let id = attempts.end(waitedForBy: outcome) { close(id) }
  }

  /// Accepts a handshake for a task that waits for `outcome`.
  func accept(_ id: RequestID, flags: SecurityFlags?, for outcome: SessionOutcome) {
    guard !isClosed else { return _ = outcome.resolve(.failure(closingError)) }
    guard acceptances.accept(id, for: outcome) else { return _ = outcome.resolve(.failure(.expired)) }
    endpoint.answer(id, accept: .accept(flags ?? endpoint.configuration.flags), at: now)
    pump()
  }

  /// Refuses a handshake.
  func reject(_ id: RequestID, silently: Bool?) {
    guard let request = acceptances.reject(id) else { return }
    environment.log?.refused(request, reason: "by the application", at: now)
    let silently = silently ?? endpoint.configuration.flags.contains(.responderRejectsSilently)
    endpoint.answer(id, accept: .reject(silently: silently), at: now)
    pump()
  }

  /// Begins a re-key.
  func rekey(_ id: SessionID) -> Bool {
    guard !isClosed else { return false }
    let begins = endpoint.rekey(id, at: now)
    pump()
    return begins
  }

  /// Probes the peer of a session.
  func probePeer(of id: SessionID) {
    guard !isClosed else { return }
    endpoint.probe(id, at: now)
    pump()
  }

  /// Ends a session whose peer does not answer.
  func abandonSession(_ id: SessionID) {
    guard !isClosed else { return }
    endpoint.abandon(id)
    pump()
  }

  /// Ends a session.
  func close(_ id: SessionID) {
    guard !isClosed else { return }
    endpoint.close(id)
    pump()
  }

  /// Forwards an event of the protocol.
  func handle(_ event: Event) {
    switch event {
    case .established(let id, let establishment):
      established(id, by: establishment)
    case .restarted(let id, let reason):
      attempts.record(TimeoutCause(reason), of: id)
      environment.log?.restarted(id, peer: inboxes.peer(of: id), reason: reason, at: now)
      inboxes.inbox(of: id).events.append(event)
    case .confirmed(let id):
      inboxes.inbox(of: id).events.append(event)
    case .rekeyed(let id, let chainLength):
      counted.rekeys += 1
      environment.log?.rekeyed(id, peer: inboxes.peer(of: id), chainLength: chainLength, at: now)
      inboxes.inbox(of: id).events.append(event)
    case .answered(let id, let roundTrip):
      if let roundTrip { environment.roundTrips.record(roundTrip) }
      inboxes.answered(id, roundTrip: roundTrip)
    case .moved(let id, _, let address):
      counted.moves += 1
      environment.log?.moved(id, peer: inboxes.peer(of: id), to: address, at: now)
      inboxes.inbox(of: id).move(to: address)
      inboxes.inbox(of: id).events.append(event)
    case .downgraded(let id, let peer, let heldChainLength):
      counted.downgrades += 1
      environment.log?.downgraded(id, peer: peer, heldChainLength: heldChainLength, at: now)
      mailboxes.downgrades.append(Downgrade(session: id, peer: peer, heldChainLength: heldChainLength))
      inboxes.inbox(of: id).events.append(event)
    case .ended(let id, let reason):
      ended(id, reason: reason, event: event)
    case .withdrawn(let id, let reason):
      withdrawn(id, reason: reason)
    }
  }

  private func established(_ id: SessionID, by establishment: Establishment) {
    environment.log?.established(id, establishment: establishment, at: now)
    var waiting: [SessionOutcome] = []
    if let request = establishment.acceptance, case .accepted(let outcome)? = acceptances.end(request) {
      waiting.append(outcome)
    }
    // When both sides open at once, both calls return the same session.
    if let attempt = attempts.end(id) { waiting.append(attempt.outcome) }
    let inbox = inboxes.inbox(of: id)
    inbox.setPeer(establishment.peer)
    inbox.setEstablished()
    let session = EstablishedSession(shard: shard, id: id, establishment: establishment, inbox: inbox)
    replaceInOtherShards(session)
    let isWanted = waiting.map { $0.resolve(.success(session)) }.contains(true)
    // False if the task was cancelled or the endpoint is closing.
    if !isWanted { endpoint.close(id) }
  }

  private func ended(_ id: SessionID, reason: EndReason, event: Event) {
    if let attempt = attempts.end(id) {
      attempt.outcome.resolve(.failure(reason == .rejected ? .rejected : .sessionEnded(reason)))
    }
    siblings?.end(id)
    let peer = inboxes.peer(of: id)
    let wasEstablished = inboxes.end(id, reason: reason, event: event)
    environment.log?.ended(id, peer: peer, reason: reason, wasEstablished: wasEstablished, at: now)
    sendQueue.sessionEnded(id, with: .sessionEnded(reason))
  }

  private func withdrawn(_ id: RequestID, reason: DropReason) {
    switch acceptances.end(id) {
    case .offered?:
      counted.incomingExpired += 1
      let isUnread = mailboxes.incoming.removeAll { $0.shard == shard && $0.id == id } > 0
      if isUnread { counted.incomingUnread += 1 }
      environment.log?.expired(isUnread: isUnread, at: now)
    case .accepted(let outcome)?:
      environment.log?.failed(reason, at: now)
      outcome.resolve(.failure(.handshakeFailed(reason)))
    case nil:
      break
    }
  }

  /// Applies the rule of one session per peer across shards. The new session replaces those of
  /// other shards, and a task that waits there gets the new one; or the new session is the older
  /// one, and ends.
  private func replaceInOtherShards(_ session: EstablishedSession) {
    guard let shards = siblings?.shards else { return }
    switch siblings?.establish(session.id, with: session.establishment.peer) {
    case .replaces(let places)?:
      for older in places { shards[older.shard].tell { driver in driver.replace(older.session, by: session) } }
    case .isReplaced?: endpoint.replace(session.id)
    case nil: break
    }
  }

  private func replace(_ id: SessionID, by session: EstablishedSession) {
    guard !isClosed else { return }
    attempts.end(id)?.outcome.resolve(.success(session))
    endpoint.replace(id)
    pump()
  }
}

// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// A call of ``UDPEndpoint/connect(to:key:identity:flags:timeout:)`` that waits.
struct ConnectAttempt {
  let request: ConnectRequest
  let deadline: Instant?
  let outcome: SessionOutcome
  var timer: Scheduled<Void>?
  var lastRestart: RestartReason?
}

/// Where a handshake stands that the application was asked about.
enum Acceptance {
  /// It waits for a decision.
  case offered
  /// It was accepted; whoever did waits for the session.
  case accepted(SessionOutcome)
}

/// What a session is opened with.
struct ConnectRequest: Sendable {
  let address: Address
  let key: PublicKey
  let identity: [UInt8]
  let flags: SecurityFlags?
  var timeout: Duration?
}

/// Sessions from their beginnings to their ends.
extension Driver {
  /// Opens a session for a task that waits for `outcome`.
  func connect(_ request: ConnectRequest, _ outcome: SessionOutcome) {
    guard !isClosed else { return _ = outcome.resolve(.failure(.closed)) }
    let id: SessionID
    do {
      id = try endpoint.open(
        to: request.key, at: request.address, identity: request.identity, flags: request.flags, now: now)
    } catch {
      return _ = outcome.resolve(.failure(.open(error)))
    }
    inboxes[id] = SessionInbox(options)
    var attempt = ConnectAttempt(
      request: request, deadline: request.timeout.map { now.advanced(by: $0) }, outcome: outcome)
    if let timeout = request.timeout {
      let bound = bound
      attempt.timer = eventLoop.scheduleTask(in: .nanoseconds(max(0, timeout.nanoseconds))) {
        bound.value.connectTimedOut(id)
      }
    }
    attempts[id] = attempt
    noteAttempt(id, request.key)
    pump()
  }

  private func connectTimedOut(_ id: SessionID) {
    guard let attempt = attempts.removeValue(forKey: id) else { return }
    attempt.outcome.resolve(.failure(.timeout(attempt.lastRestart)))
    close(id)
  }

  /// Whoever waited for `outcome` does not any more.
  func abandon(_ outcome: SessionOutcome) {
    // What an accepted handshake comes to is closed when it comes.
    guard let (id, attempt) = attempts.first(where: { $0.value.outcome === outcome }) else { return }
    attempt.timer?.cancel()
    attempts[id] = nil
    close(id)
  }

  /// Accepts a handshake for a task that waits for `outcome`.
  func accept(_ id: RequestID, _ flags: SecurityFlags?, _ outcome: SessionOutcome) {
    guard !isClosed else { return _ = outcome.resolve(.failure(.closed)) }
    guard case .offered? = acceptances[id] else { return _ = outcome.resolve(.failure(.expired)) }
    acceptances[id] = .accepted(outcome)
    endpoint.answer(id, accept: .accept(flags ?? endpoint.configuration.flags), at: now)
    pump()
  }

  /// Refuses a handshake.
  func reject(_ id: RequestID, _ silently: Bool?) {
    guard case .offered? = acceptances[id] else { return }
    acceptances[id] = nil
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

  /// Ends a session.
  func close(_ id: SessionID) {
    guard !isClosed else { return }
    endpoint.close(id)
    pump()
  }

  /// The inbox of a session. A responder's session is first heard of by its first event.
  func inbox(_ id: SessionID) -> SessionInbox {
    if let inbox = inboxes[id] { return inbox }
    let inbox = SessionInbox(options)
    inboxes[id] = inbox
    return inbox
  }

  /// Something happened to a session.
  func handle(_ event: Event) {
    switch event {
    case .established(let id, let establishment):
      established(id, establishment)
    case .restarted(let id, let reason):
      attempts[id]?.lastRestart = reason
      inbox(id).events.append(event)
    case .confirmed(let id), .rekeyed(let id, _), .moved(let id, _, _):
      inbox(id).events.append(event)
    case .downgraded(let id, let peer, let heldChainLength):
      counters.downgrades += 1
      mailboxes.downgrades.append(Downgrade(session: id, peer: peer, heldChainLength: heldChainLength))
      inbox(id).events.append(event)
    case .ended(let id, let reason):
      ended(id, reason, event)
    case .withdrawn(let id, let reason):
      withdrawn(id, reason)
    }
  }

  private func established(_ id: SessionID, _ establishment: Establishment) {
    var waiting: [SessionOutcome] = []
    if let request = establishment.acceptance,
      case .accepted(let outcome)? = acceptances.removeValue(forKey: request)
    {
      waiting.append(outcome)
    }
    if let request = establishment.acceptance, let attempt = suspended.removeValue(forKey: request) {
      waiting.append(attempt.outcome)
    }
    // When both sides open at once, both calls come to the same session.
    if let attempt = attempts.removeValue(forKey: id) {
      attempt.timer?.cancel()
      waiting.append(attempt.outcome)
    }
    let session = EstablishedSession(
      shard: shard, id: id, establishment: establishment, inbox: inbox(id))
    noteEstablished(session)
    let isWanted = waiting.map { $0.resolve(.success(session)) }.contains(true)
    // If not: the task was cancelled, or the endpoint is being closed.
    if !isWanted { endpoint.close(id) }
  }

  private func ended(_ id: SessionID, _ reason: EndReason, _ event: Event) {
    if let attempt = attempts.removeValue(forKey: id) {
      attempt.timer?.cancel()
      attempt.outcome.resolve(.failure(reason == .rejected ? .rejected : .sessionEnded(reason)))
    }
    // The last messages come before the end.
    if burst.session == id { deliverBurst() }
    handlers[id] = nil
    noteEnded(id)
    guard let inbox = inboxes.removeValue(forKey: id) else { return }
    inbox.finish(reason, event)
  }

  private func withdrawn(_ id: RequestID, _ reason: DropReason) {
    if let attempt = suspended.removeValue(forKey: id) { resume(attempt) }
    switch acceptances.removeValue(forKey: id) {
    case .offered?:
      counters.incomingExpired += 1
      mailboxes.incoming.removeAll { $0.shard == shard && $0.id == id }
    case .accepted(let outcome)?:
      outcome.resolve(.failure(.handshakeFailed(reason)))
    case nil:
      break
    }
  }
}

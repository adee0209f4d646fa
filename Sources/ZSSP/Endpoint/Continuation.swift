// SPDX-License-Identifier: Apache-2.0

/// What goes on when a request is answered.
enum Continuation {
  /// A1: the peer's ratchet states are loaded for X1.
  case loaded(Session)
  /// A1: X1 is computed.
  case hello(Session)
  /// A1: a challenge is solved.
  case challengeSolved(Session)
  /// A1: X2 is read.
  case responseReceived(Session)
  /// A1: the new ratchet state is stored; X3 may leave.
  case storedCompletion(Session, InitiatorHandshake.Completion)
  /// A3: the older ratchet state is dropped; the session may start.
  case storedConfirmation(Session)
  /// S1: the ratchet state of an attempt in the other direction is dropped; the session is confirmed.
  case storedAcknowledgement(Session)
  /// S2: K1 is computed.
  case rekey(Session)
  /// S2, R1: K1 is read and K2 computed.
  case rekeyReceived(Session)
  /// S2, R1: the new ratchet state is stored; K2 may leave.
  case storedRekeyAnswer(Session, RekeyAnswer)
  /// R1: K2 is read.
  case rekeyCompleted(Session)
  /// R1: the new ratchet state is stored; C1 may leave.
  case storedRekeyCompletion(Session, KeyID, SessionSecrets)
  /// R2: the older ratchet state is dropped; the new key may be used.
  case storedRekeyConfirmation(Session)
  /// Any step of a handshake that has no session yet.
  case halfOpen(HalfOpenHandshake)

  /// K2 and what comes with it, while the store is asked.
  struct RekeyAnswer {
    let packet: [UInt8]
    let localID: KeyID
    let remoteID: KeyID
    let secrets: SessionSecrets
  }

  /// The session that waits, if one does.
  var session: Session? {
    switch self {
    case .loaded(let session), .hello(let session), .challengeSolved(let session), .responseReceived(let session),
      .storedCompletion(let session, _), .storedConfirmation(let session),
      .storedAcknowledgement(let session), .rekey(let session),
      .rekeyReceived(let session), .storedRekeyAnswer(let session, _), .rekeyCompleted(let session),
      .storedRekeyCompletion(let session, _, _), .storedRekeyConfirmation(let session):
      session
    case .halfOpen: nil
    }
  }
}

extension Endpoint {
  /// Asks the store on behalf of a session or handshake.
  mutating func ask(_ request: StoreRequest, then continuation: Continuation) {
    let id = suspend(continuation)
    if case .compareAndSwap(let peer, _, _) = request {
      dropUnverified(peer)
      if case .halfOpen(let handshake) = continuation { handshake.lastSwap = id }
    }
    requests.push(.store(id, request))
  }

  /// Asks for public-key work on behalf of a session or handshake.
  mutating func ask(
    _ kind: PublicKeyWork.Kind, then continuation: Continuation,
    _ job: @escaping @Sendable () throws(AuthenticationFailure) -> PublicKeyResult.Outcome
  ) {
    let id = suspend(continuation)
    statistics.publicKeyWork += 1
    let work = PublicKeyWork(id: id, kind: kind) { do { return try job() } catch { return .failed } }
    requests.push(.work(work))
  }

  /// Remembers how to go on, in the place of whatever the owner waited for.
  mutating func suspend(_ continuation: Continuation) -> RequestID {
    let id = makeRequestID()
    if let session = continuation.session {
      forgetRequest(of: session)
      session.pending = id
    } else if case .halfOpen(let handshake) = continuation {
      if let pending = handshake.pending { continuations[pending] = nil }
      handshake.pending = id
    }
    continuations[id] = continuation
    return id
  }

  /// The continuation of a request that is still waited for.
  mutating func resume(_ id: RequestID) -> Continuation? {
    guard let continuation = continuations.removeValue(forKey: id) else { return nil }
    if let session = continuation.session {
      session.pending = nil
      session.pendingDeadline = .distantFuture
    } else if case .halfOpen(let handshake) = continuation {
      handshake.pending = nil
    }
    return continuation
  }

  /// Whatever the session waits for, its answer will be late.
  mutating func forgetRequest(of session: Session) {
    if let pending = session.pending { continuations[pending] = nil }
    session.pending = nil
    session.pendingDeadline = .distantFuture
  }
}

// SPDX-License-Identifier: Apache-2.0

extension Endpoint {
  /// Takes the answer to a ``Request/store(_:_:)``. Late answers are ignored; one that does not fit counts as a failure.
  public mutating func answer(_ id: RequestID, store answer: StoreAnswer, at now: Instant) {
    guard let continuation = resume(id) else { return }
    switch continuation {
    case .loaded(let session): ratchetLoaded(session, answer, at: now)
    case .halfOpen(let handshake): storeAnswered(handshake, answer, at: now)
    default:
      guard let session = continuation.session else { return }
      swapAnswered(continuation, session, answer, to: id, at: now)
      schedule(session)
    }
  }

  /// Takes the answer to a ``Request/accept(_:_:)``. Late answers are ignored.
  public mutating func answer(_ id: RequestID, accept decision: AcceptDecision, at now: Instant) {
    guard case .halfOpen(let handshake)? = resume(id) else { return }
    accepted(handshake, decision)
  }

  /// Takes the result of a ``Request/work(_:)``. Late results are ignored.
  public mutating func complete(_ result: PublicKeyResult, at now: Instant) {
    guard let continuation = resume(result.id) else { return }
    switch (continuation, result.outcome) {
    case (.hello(let session), .hello(let hello)):
      helloComputed(session, hello, at: now)
    case (.challengeSolved(let session), .proofOfWork(let response)):
      if case .a1(.sent) = session.state { session.solvedChallenge = response }
    case (.responseReceived(let session), .responseReceived(let completion)):
      responseRead(session, completion)
    case (.rekey(let session), .rekey(let initiation)):
      rekeyComputed(session, initiation, at: now)
    case (.rekeyReceived(let session), .rekeyReceived(let response)):
      rekeyRead(session, response, at: now)
    case (.rekeyCompleted(let session), .rekeyCompleted(let keyID, let secrets)):
      rekeyCompletionRead(session, keyID, secrets, at: now)
    case (.halfOpen(let handshake), let outcome):
      workDone(handshake, outcome, at: now)
    case (.hello(let session), _), (.responseReceived(let session), _):
      drop(.notAuthentic)
      handshakeFailed(session, .notAuthentic, at: now)
    default:
      guard let session = continuation.session else { return }
      drop(.notAuthentic)
      end(session, .rekeyNotAuthentic)
    }
  }

  /// Takes the news that a request will not be answered, because whoever drives the endpoint is too busy. A half-open
  /// handshake makes room at once; a session goes on as after an answer that is never given.
  public mutating func refuse(_ id: RequestID) {
    guard case .halfOpen(let handshake)? = resume(id) else { return }
    remove(handshake, .busy)
  }

  /// Another instance has changed the ratchet state first. This instance is over; an application that is opening a
  /// session still wants one, so there another begins, with what is stored now.
  private mutating func conflict(_ session: Session, at now: Instant) {
    if session.state.canSend {
      end(session, .ratchetConflict)
    } else {
      handshakeFailed(session, .ratchetConflict, at: now)
    }
  }

  /// A compare-and-swap on behalf of a session was answered (section 9).
  private mutating func swapAnswered(
    _ continuation: Continuation, _ session: Session, _ answer: StoreAnswer, to id: RequestID, at now: Instant
  ) {
    switch answer {
    case .swapped: session.lastSwap = id
    case .notSwapped:
      drop(.ratchetConflict)
      return conflict(session, at: now)
    default:
      // Nothing has changed; the peer sends its packet again.
      return drop(.storeFailed)
    }
    switch continuation {
    case .storedCompletion(_, let completion): enterA3(session, completion, at: now)
    case .storedConfirmation: confirmed(session, at: now)
    case .storedAcknowledgement: acknowledged(session, at: now)
    case .storedRekeyAnswer(_, let answer): enterR2(session, answer, at: now)
    case .storedRekeyCompletion(_, let keyID, let secrets): rekeyStored(session, keyID, secrets, at: now)
    case .storedRekeyConfirmation: rekeyConfirmed(session, at: now)
    default: break
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

extension Endpoint {
  /// Takes the answer to a ``Request/store(_:_:)``. Late answers are ignored; one that does not fit counts as a failure.
  public mutating func answer(_ id: RequestID, store answer: StoreAnswer, at now: Instant) {
    switch takeAnswered(id) {
    case .session(let session):
      let actions = session.answered(answer, surroundings, at: now) {
        keyIDs.draw(for: .session(session), provider)
      }
      perform(actions, for: session, at: now)
    case .halfOpen(let handshake):
      let steps = handshake.answered(answer, surroundings, at: now) { peer in hellos.isStoring(peer) }
      perform(steps, for: handshake, at: now)
    case nil: break
    }
  }

  /// Takes the answer to a ``Request/accept(_:_:)``. Late answers are ignored.
  public mutating func answer(_ id: RequestID, accept decision: AcceptDecision, at now: Instant) {
    guard case .halfOpen(let handshake)? = takeAnswered(id) else { return }
    perform(handshake.decided(decision, provider), for: handshake, at: now)
  }

  /// Takes the result of a ``Request/work(_:)``. Late results are ignored.
  ///
  /// - Parameters:
  ///   - time: the processor time that it took, for the ``HelloBudget``; nil, the default, if it is not known.
  public mutating func complete(_ result: PublicKeyResult, took time: Duration? = nil, at now: Instant) {
    switch takeAnswered(result.id) {
    case .session(let session):
      let actions = session.completed(result.outcome, surroundings, at: now) {
        keyIDs.draw(for: .session(session), provider)
      }
      perform(actions, for: session, at: now)
    case .halfOpen(let handshake):
      handshake.settle(took: time, &hellos.gate, at: now)
      let steps = handshake.completed(result.outcome, surroundings, at: now) {
        keyIDs.draw(for: .halfOpen(handshake), provider)
      }
      perform(steps, for: handshake, at: now)
    case nil: return
    }
    // What a Hello leads to is charged, and there may be time for the next.
    readWaitingHellos(at: now)
  }

  /// Takes the news that a request will not be answered, because whoever drives the endpoint is too
  /// busy. A half-open handshake makes room at once, unless it was an X3 that was to be read: then
  /// it waits for the next. A session goes on as after an answer that is never given.
  public mutating func refuse(_ id: RequestID) {
    switch takeAnswered(id) {
    case .session(let session): session.stopWaiting()
    case .halfOpen(let handshake): perform(handshake.refused(&hellos.gate), for: handshake, at: .distantFuture)
    case nil: break
    }
  }

  /// Takes back the application's acceptance of a handshake, and forgets the handshake, while the
  /// store was not asked to store anything for it. A request that was not answered yet can be taken
  /// back, too.
  ///
  /// - Parameter id: that of the ``Request/accept(_:_:)``.
  /// - Returns: true if it was in time: no session comes of the handshake, older sessions with the
  ///   peer go on, no event follows, and an answer to the request is ignored. False if it was late:
  ///   the store is being asked, and ``Event/established(_:_:)`` or ``Event/withdrawn(_:_:)``
  ///   follows; or one of the two has come, for this request or for none that is known. A session
  ///   that comes of it has ended older ones with the peer: to be rid of it, close it.
  public mutating func cancelAccept(_ id: RequestID) -> Bool {
    guard let handshake = hellos.handshake(acceptedBy: id), handshake.cancel() else { return false }
    forget(handshake, nil)
    return true
  }

  /// Who waited for an answer that has come.
  private mutating func takeAnswered(_ id: RequestID) -> Owner? {
    let owner = pending.answered(id)
    if case .halfOpen(let handshake) = owner { hellos.endWork(on: handshake) }
    return owner
  }
}

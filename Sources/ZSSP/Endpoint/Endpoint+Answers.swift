// SPDX-License-Identifier: Apache-2.0

extension Endpoint {
  /// Processes the answer to a ``Request/store(_:_:)``. Late answers are ignored. An answer that
  /// does not fit the request counts as a failure.
  public mutating func answer(_ id: RequestID, store answer: StoreAnswer, at now: Instant) {
    let owner = takeAnswered(id)
    if let trace {
      trace.add(.storeAnswer(id, answer.traceName, isAwaited: owner != nil), of: trace.owner(owner), at: now)
    }
    switch owner {
    case .session(let session):
      let actions = session.answered(answer, in: surroundings, at: now) {
        keyIDs.draw(for: .session(session), provider)
      }
      perform(actions, for: session, at: now)
    case .halfOpen(let handshake):
      let steps = handshake.answered(answer, in: surroundings, at: now) { peer in hellos.isStoring(peer) }
      perform(steps, for: handshake, at: now)
    case nil: break
    }
  }

  /// Processes the answer to a ``Request/accept(_:_:)``. Late answers are ignored.
  public mutating func answer(_ id: RequestID, accept decision: AcceptDecision, at now: Instant) {
    let owner = takeAnswered(id)
    if let trace {
      trace.add(.acceptDecision(id, decision.traceName, isAwaited: owner != nil), of: trace.owner(owner), at: now)
    }
    guard case .halfOpen(let handshake)? = owner else { return }
    perform(handshake.decided(decision, provider: provider), for: handshake, at: now)
  }

  /// Processes the result of a ``Request/work(_:)``. Late results are ignored.
  ///
  /// - Parameters:
  ///   - result: the result of ``PublicKeyWork``.
  ///   - time: the processor time that the work took, for the ``HelloBudget``; nil, the default, if
  ///     unknown.
  ///   - now: the present time.
  public mutating func complete(_ result: PublicKeyResult, took time: Duration? = nil, at now: Instant) {
    let owner = takeAnswered(result.id)
    if let trace {
      let hasFailed = if case .failed = result.outcome { true } else { false }
      trace.add(
        .workDone(result.id, hasFailed: hasFailed, isAwaited: owner != nil), of: trace.owner(owner), at: now)
    }
    switch owner {
    case .session(let session):
      let actions = session.completed(result.outcome, in: surroundings, at: now) {
        keyIDs.draw(for: .session(session), provider)
      }
      perform(actions, for: session, at: now)
    case .halfOpen(let handshake):
      handshake.settle(took: time, &hellos.gate, at: now)
      let steps = handshake.completed(result.outcome, in: surroundings, at: now) {
        keyIDs.draw(for: .halfOpen(handshake), provider)
      }
      perform(steps, for: handshake, at: now)
    case nil: return
    }
    // The work of a Hello is now charged, and there may be time for the next one.
    readWaitingHellos(at: now)
  }

  /// Records that a request will not be answered, because the driver is too busy. A half-open
  /// handshake is dropped at once, unless the request was to read an X3: then it waits for the next
  /// X3. A session continues as if the answer never arrived.
  public mutating func refuse(_ id: RequestID) {
    switch takeAnswered(id) {
    case .session(let session): session.stopWaiting()
    case .halfOpen(let handshake): perform(handshake.refused(&hellos.gate), for: handshake, at: .distantFuture)
    case nil: break
    }
  }

  /// Cancels the application's acceptance of a handshake, and drops the handshake, if the store was
  /// not yet requested to store anything for it. A request without an answer can be cancelled, too.
  ///
  /// - Parameter id: the id of the ``Request/accept(_:_:)``.
  /// - Returns: true if it was in time: the handshake leads to no session, older sessions with the
  ///   peer continue, no event follows, and an answer to the request is ignored. False if it was
  ///   late or the id is unknown: then ``Event/established(_:_:)`` or ``Event/withdrawn(_:_:)``
  ///   follows, or has already been emitted. A session that results has ended older ones with the
  ///   peer; close it to get rid of it.
  public mutating func cancelAccept(_ id: RequestID) -> Bool {
    guard let handshake = hellos.handshake(acceptedBy: id), handshake.cancel() else { return false }
    forget(handshake, reason: nil)
    return true
  }

  /// Returns the owner of a request whose answer has arrived.
  private mutating func takeAnswered(_ id: RequestID) -> Owner? {
    let owner = pending.answered(id)
    if case .halfOpen(let handshake) = owner { hellos.endWork(on: handshake) }
    return owner
  }
}

// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// An attempt that gave way to a handshake of its peer in another shard. It goes on if nothing comes of that.
struct SuspendedAttempt: Sendable {
  let shard: Int
  let request: ConnectRequest
  let outcome: SessionOutcome
}

/// Both sides open at once, and the peer's handshake comes to another shard than the one that tries (section 14). Within a shard the
/// endpoint does the same.
extension Driver {
  private enum Verdict: Sendable {
    case proceed(SuspendedAttempt?)
    case wait
    case refuse
  }

  /// Calls `offer` for a handshake of a peer, at once or when it is its turn, unless this side's own attempt is preferred.
  func judgeRival(_ peer: PublicKey, _ id: RequestID, offer: @escaping @Sendable (Driver) -> Void) {
    guard let siblings, let rival = siblings.directory.attempts(peer).first(where: { $0.shard != shard }) else {
      return offer(self)
    }
    let (bound, eventLoop) = (bound, eventLoop)
    siblings.shards[rival.shard].tell { other in
      let verdict = other.yield(rival.session, to: peer)
      eventLoop.execute { bound.value.apply(verdict, peer, id, offer) }
    }
  }

  /// Decides between an attempt of this shard and a handshake of the peer in another. The attempt that gives way is over
  /// here and now, so that the peer cannot take both.
  private func yield(_ id: SessionID, to peer: PublicKey) -> Verdict {
    guard !isClosed, attempts[id] != nil else { return .proceed(nil) }
    switch endpoint.judgeRival(peer, at: now) {
    case .refuse: return .refuse
    case .wait: return .wait
    case .proceed: break
    }
    guard let attempt = attempts.removeValue(forKey: id) else { return .proceed(nil) }
    attempt.timer?.cancel()
    close(id)
    var request = attempt.request
    request.timeout = attempt.deadline.map { now.duration(to: $0) }
    return .proceed(SuspendedAttempt(shard: shard, request: request, outcome: attempt.outcome))
  }

  private func apply(
    _ verdict: Verdict, _ peer: PublicKey, _ id: RequestID, _ offer: @escaping @Sendable (Driver) -> Void
  ) {
    switch verdict {
    case .proceed(let attempt):
      // The handshake may have been withdrawn, or the shard closed, while the other was asked.
      guard !isClosed, case .offered? = acceptances[id] else { return attempt.map(resume) ?? () }
      suspended[id] = attempt
      offer(self)
    case .wait:
      let bound = bound
      eventLoop.scheduleTask(in: .nanoseconds(endpoint.configuration.settings.resendInterval.nanoseconds)) {
        let driver = bound.value
        guard !driver.isClosed, case .offered? = driver.acceptances[id] else { return }
        driver.judgeRival(peer, id, offer: offer)
      }
    case .refuse:
      guard !isClosed, case .offered? = acceptances.removeValue(forKey: id) else { return }
      endpoint.answer(id, accept: .reject(silently: true), at: now)
    }
    if !isClosed { pump() }
  }

  /// Nothing came of the handshake that an attempt gave way to.
  func resume(_ attempt: SuspendedAttempt) {
    guard let siblings else { return _ = attempt.outcome.resolve(.failure(.closed)) }
    guard !attempt.outcome.isResolved else { return }
    siblings.shards[attempt.shard].tell { driver in driver.connect(attempt.request, attempt.outcome) }
  }
}

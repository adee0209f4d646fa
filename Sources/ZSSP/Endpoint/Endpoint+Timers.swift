// SPDX-License-Identifier: Apache-2.0

extension Endpoint {
  /// Processes everything that is due at `now`: resends, restarts, re-keys and expiry. It also
  /// evicts expanded keys of idle sessions, a few at a time.
  public mutating func advance(to now: Instant) {
    while let timed = timers.popExpired(at: now) {
      if let session = timed as? Session {
        sessionDue(session, at: now)
      } else if let handshake = timed as? HalfOpenHandshake {
        handshakeDue(handshake, at: now)
      }
    }
    memory.keys.sweep(at: now)
    let expired = hellos.expire(at: now)
    for _ in 0..<expired.incomplete { journal.drop(.reassemblyTimeout) }
    for _ in 0..<expired.waiting { journal.drop(.queueTimeout) }
    journal.countHellosDropped(expired.waiting)
    readWaitingHellos(at: now)
  }

  private mutating func sessionDue(_ session: Session, at now: Instant) {
    trace?.noteTimer(session, at: now)
    dropExpired(of: session, at: now)
    perform(session.erasePreviousKey(at: now) + session.abandonAnswer(at: now), for: session, at: now)
    perform(session.silenceDue(in: surroundings, at: now), for: session, at: now)
    guard peers.contains(session) else { return }
    let actions = session.stateDue(in: surroundings, at: now) { keyIDs.draw(for: .session(session), provider) }
    perform(actions, for: session, at: now)
  }

  private mutating func handshakeDue(_ handshake: HalfOpenHandshake, at now: Instant) {
    // [TIME-3]
    if handshake.expiry <= now {
      trace?.add(.timer("timeout"), of: trace?.owner(handshake) ?? .endpoint, at: now)
      perform(handshake.expired(settings, at: now), for: handshake, at: now)
    } else {
      dropExpired(of: handshake, at: now)
    }
    guard hellos.contains(handshake) else { return }
    timers.set(handshake, to: handshake.nextDeadline)
  }

  private mutating func dropExpired(of holder: some ReassemblyHolder, at now: Instant) {
    for _ in 0..<memory.packets.drop(of: holder, { $0.expire(at: now) }) { journal.drop(.reassemblyTimeout) }
  }
}

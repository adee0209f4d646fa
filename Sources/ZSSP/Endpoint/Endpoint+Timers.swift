// SPDX-License-Identifier: Apache-2.0

extension Endpoint {
  /// Does all that is due at `now`: resends, restarts, re-keys, expiry, and giving up keys of idle sessions, a few at a time.
  public mutating func advance(to now: Instant) {
    while let timed = timers.popExpired(at: now) {
      if let session = timed as? Session {
        sessionDue(session, at: now)
      } else if let handshake = timed as? HalfOpenHandshake {
        halfOpenDue(handshake, at: now)
      }
    }
    expandedKeys.sweep(at: now)
    for _ in 0..<hellos.expire(at: now) { drop(.reassemblyTimeout) }
  }

  /// Puts the session's next deadline into the queue. Every change of a session ends with this.
  mutating func schedule(_ session: Session) {
    guard sessions[session.id] === session else { return }
    timers.set(session, to: session.nextDeadline)
  }

  private mutating func sessionDue(_ session: Session, at now: Instant) {
    for _ in 0..<session.reassembly.expire(at: now) { drop(.reassemblyTimeout) }
    if session.pendingDeadline <= now { forgetRequest(of: session) }
    if session.stateDeadline <= now {
      stateDue(session, at: now)
    } else if session.resendDeadline <= now {
      session.resendDeadline = now.advanced(by: settings.resendInterval)
      resend(session, at: now)
    }
    schedule(session)
  }

  /// The timeout column of section 11.
  private mutating func stateDue(_ session: Session, at now: Instant) {
    switch session.state {
    case .a1: restart(session, .timeout, at: now)
    case .a3: restart(session, .notConfirmed, at: now)
    case .s1: end(session, .notConfirmed)
    case .s2: beginRekey(session, at: now)
    case .r1, .r2: end(session, .rekeyTimeout)
    }
  }

  /// The resend column of section 11.
  private mutating func resend(_ session: Session, at now: Instant) {
    switch session.state {
    case .a1(.loading): if session.pending == nil { loadRatchet(session) }
    case .a1(.computing), .s2: break
    case .a1(.sent(let hello)): sendHello(session, hello)
    case .a3(let completion): sendCompletion(session, completion)
    case .s1: sendControl(.keyConfirm, on: session, under: session.currentKey)
    case .r1(let initiation): sendControl(.rekeyInit, initiation.packet, on: session, under: session.currentKey)
    case .r2(let answer): sendControl(.rekeyComplete, answer, on: session, under: session.currentKey)
    }
  }

  private mutating func halfOpenDue(_ handshake: HalfOpenHandshake, at now: Instant) {
    guard handshake.expiry > now else {
      withdraw(handshake, .handshakeTimeout)
      return remove(handshake)
    }
    for _ in 0..<handshake.reassembly.expire(at: now) { drop(.reassemblyTimeout) }
    timers.set(handshake, to: handshake.nextDeadline)
  }
}

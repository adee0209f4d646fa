// SPDX-License-Identifier: Apache-2.0
public import ZSSP

// Section 11: timers. "A state machine takes the time as an argument, it never reads a clock."

extension ReferencePeer {
  // [TIME-14]
  /// Does everything that is due at `now`.
  public func tick(at now: Instant) {
    hellos.expire(settings.reassemblyTimeout, at: now)
    // B2: "10 s → ⊥".
    // [TIME-3]
    for handshake in halfOpen where handshake.expiry <= now { forget(handshake) }
    for handshake in halfOpen { handshake.reassembly.expire(settings.reassemblyTimeout, at: now) }
    let inOrder = sessions.sorted { (deadline(of: $0), $0.id) < (deadline(of: $1), $1.id) }
    for session in inOrder {
      session.reassembly.expire(settings.reassemblyTimeout, at: now)
      // [DEC-39]
      if session.previousUntil <= now { eraseOther(session) }
      lookAtSilence(session, at: now)
      guard find(session.id) != nil else { continue }
      if session.timeout <= now {
        timeout(session, at: now)
      } else if session.resend <= now {
        // [TIME-1]
        session.resend = now.advanced(by: settings.resendInterval)
        resend(session, at: now)
      }
    }
    gate.expire(at: now)
    readWaitingX1(at: now)
  }

  /// Processes the end of a state: the column "timeout →".
  private func timeout(_ session: Session, at now: Instant) {
    switch session.state {
    case .a1:
      session.hasFailed = false
      // [DEC-6] [TIME-2]
      restart(session, reason: session.forgedBodies > 0 ? .notAuthentic : .timeout, at: now)
    case .a3:
      session.hasFailed = false
      session.wasUnanswered = true
      // [TIME-4]
      restart(session, reason: .notConfirmed, at: now)
    // [TIME-5]
    case .s1: end(session, reason: .notConfirmed)
    // [KK-1] [TIME-6]
    case .s2: startRekey(session, at: now)
    // [TIME-7] [TIME-8]
    case .r1, .r2: end(session, reason: .rekeyTimeout)
    }
  }

  /// Resends the packet of a state: the column "sends, resends every 1 s".
  private func resend(_ session: Session, at now: Instant) {
    switch session.state {
    case .a1(nil): sayHello(session, at: now)
    // [TIME-2]
    case .a1(let x1?): sendX1(on: session, x1)
    // [TIME-4]
    case .a3(let x3): if now <= session.lastX3 { sendX3(on: session, x3) }
    // [TIME-5]
    case .s1: sendC1(session, at: now)
    // [TIME-12]
    case .s2: break
    // [KK-9] [TIME-7]
    case .r1(let k1): sendControl(.k1, inner: k1.packet, on: session, under: session.current)
    // [KK-9] [TIME-8]
    case .r2(let k2): sendControl(.k2, inner: k2, on: session, under: session.current)
    }
  }

  /// The time at which ``tick(at:)`` has something to do; nil if never.
  public var nextDeadline: Instant? {
    let packets = [hellos.oldest] + halfOpen.map(\.reassembly.oldest)
    let expiries = packets.compactMap { $0?.advanced(by: settings.reassemblyTimeout) } + halfOpen.map(\.expiry)
    let turn = gate.deadline(helloPolicy) ?? .distantFuture
    let earliest = min((expiries + sessions.map(deadline(of:))).min() ?? .distantFuture, turn)
    return earliest < .distantFuture ? earliest : nil
  }

  private func deadline(of session: Session) -> Instant {
    let expiry = session.reassembly.oldest?.advanced(by: settings.reassemblyTimeout) ?? .distantFuture
    let look = session.silence?.look ?? .distantFuture
    return min(session.timeout, session.resend, session.previousUntil, min(expiry, look))
  }
}

// MARK: For tests

extension ReferencePeer {
  /// A description of a session.
  public struct Description: Sendable, Hashable {
    /// The state's name: A1, A3, S1, S2, R1 or R2.
    public let state: String
    /// The peer's static key.
    public let peer: PublicKey
    /// The address that datagrams are sent to.
    public let address: Address
    /// True if data can be sent.
    public let canSend: Bool
    /// The chain length of the current key; 0 before there is one.
    public let chainLength: UInt64
    /// The number of handshakes begun.
    public let handshakes: Int
    /// The end of the state, and the next resend of its packet.
    public let timeout, resend: Instant
  }

  /// Returns a description of a session; nil after it has ended.
  public func description(of session: Int) -> Description? {
    find(session).map { session in
      Description(
        state: session.state.name, peer: session.peerKey, address: session.address, canSend: session.canSend,
        chainLength: session.current?.chainLength ?? 0, handshakes: session.handshakes, timeout: session.timeout,
        resend: session.resend)
    }
  }

  /// The numbers of sessions, half-open handshakes, incomplete Hellos and key ids.
  public var counts: (sessions: Int, halfOpen: Int, hellos: Int, keyIDs: Int) {
    (
      sessions.count, halfOpen.count, hellos.count,
      sessions.reduce(halfOpen.count) { $0 + $1.keyIDs.count }
    )
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 6, C1, C2 and D: both sides begin to use the key.

extension ReferencePeer {
  /// Receives a packet of types 3 to 7, which is sealed under kek.
  func receiveControl(
    _ packet: [UInt8], header: Header, type: PacketType, session: Session, key: SessionKey, from source: Address,
    at now: Instant
  ) throws(Drop) {
    let isRekey = type == .k1 || type == .k2
    // [PKT-6]
    guard packet.count == (isRekey ? Size.rekey : Size.tag) else { throw .malformed }
    // [KK-17] [TIME-10]
    let inner = try authenticated(packet, header: header, on: session, under: key.kek.receive, from: source, at: now)
    switch type {
    case .c1: try receiveC1(session, under: key, at: now)
    case .c2: try receiveC2(session, under: key, at: now)
    case .d: try receiveD(session, counter: header.counter, under: key)
    case .k1: try receiveK1(inner, session: session, key: key, at: now)
    case .k2: try receiveK2(inner, session: session, key: key, at: now)
    default: throw .unexpected
    }
  }

  /// Receives C1.
  private func receiveC1(_ session: Session, under key: SessionKey, at now: Instant) throws(Drop) {
    switch session.state {
    // "Alice in A3, on a good C1: drops her older ratchet state (compare-and-swap), makes the new
    // key current, enters S2, answers C2."
    // [CTRL-2]
    case .a3 where !session.isCurrent(key):
      guard try swap(session, to: RatchetPair(session.ratchet.state1), at: now) else { return }
      session.current = session.other
      session.other = nil
      enterS2(session, at: now)
      established(session, at: now)
      sendControl(.c2, on: session, under: session.current)
    // Section 7: "The responder in R2 on that C1 stores (new, none), makes the new key current,
    // enters S2, sends C2 under it."
    // [KK-13]
    case .r2 where !session.isCurrent(key):
      guard try swap(session, to: RatchetPair(session.ratchet.state1), at: now) else { return }
      (session.current, session.other) = (session.other, session.current)
      enterS2(session, at: now)
      report(.rekeyed(session: session.id, chainLength: session.ratchet.state1.chainLength))
      sendControl(.c2, on: session, under: session.current)
    // "A good C1 for the current key in S1, S2, R1 or R2 is answered with a new C2."
    case .s1 where session.isCurrent(key), .s2 where session.isCurrent(key), .r1 where session.isCurrent(key),
      .r2 where session.isCurrent(key):
      // [CTRL-4]
      sendControl(.c2, on: session, under: key)
    default:
      throw .unexpected
    }
  }

  /// C2: "Bob, on a good C2 in S1, enters S2." So does the initiator of a re-key (section 7).
  private func receiveC2(_ session: Session, under key: SessionKey, at now: Instant) throws(Drop) {
    guard session.canSend, session.isCurrent(key) else { return }
    let (isAnswer, roundTrip) = session.silence?.answered(at: now) ?? (false, nil)
    // [CTRL-3] [KK-14]
    guard case .s1 = session.state else {
      // [DEC-83]
      if isAnswer { report(.answered(session: session.id, roundTrip: roundTrip)) }
      return
    }
    // Section 14, "Attempts in both directions": Bob "drops the latter when C2 confirms the
    // former".
    // [DEC-74]
    if session.ratchet.state2 != nil {
      guard try swap(session, to: RatchetPair(session.ratchet.state1), at: now) else { return }
    }
    enterS2(session, at: now)
    // After a re-key the previous key is still present.
    report(
      session.other == nil
        ? .confirmed(session: session.id)
        : .rekeyed(session: session.id, chainLength: session.ratchet.state1.chainLength))
  }

  /// Receives D: "Alice on a good D in A3: the session ends, rejected." Section 14 defines the
  /// other states.
  private func receiveD(_ session: Session, counter: UInt64, under key: SessionKey) throws(Drop) {
    switch session.state {
    // [CTRL-5]
    case .a3 where !session.isCurrent(key) && counter == 0: end(session, reason: .rejected)
    // "A D with another counter follows C1": C1 got lost.
    // [DEC-84]
    case .a3 where !session.isCurrent(key): end(session, reason: .closedByPeer)
    // "Under the key that its sender sends with": in S1 and R2 that may still, or already, be the
    // other.
    // [DEC-84]
    case .s1, .r2: end(session, reason: .closedByPeer)
    case .s2 where session.isCurrent(key), .r1 where session.isCurrent(key): end(session, reason: .closedByPeer)
    default: throw .unexpected
    }
  }

  /// Sends C1, which the peer must answer.
  func sendC1(_ session: Session, at now: Instant) {
    session.silence?.asked(at: now, settings)
    sendControl(.c1, on: session, under: session.current)
  }

  // [DEC-83]
  /// Does everything that is due after a silence (section 14, "The peer that is gone").
  func lookAtSilence(_ session: Session, at now: Instant) {
    guard var silence = session.silence, silence.look <= now else { return }
    if silence.end(settings) <= now { return end(session, reason: .peerSilent) }
    let isDue = silence.nextC1(settings) <= now
    if isDue {
      silence.pause =
        silence.isAsked ? min(silence.pause * 2, settings.resendInterval * 65_536) : settings.resendInterval
      silence.early = earliness()
      session.silence = silence
      // This may end the session, if it uses up the key.
      sendC1(session, at: now)
    }
    var next = session.silence ?? silence
    next.look = min(next.nextC1(settings), next.end(settings))
    session.silence = next
  }

  /// Returns a random time of "up to a quarter at random", in nanoseconds.
  private func earliness() -> Duration {
    guard let keepAlive = settings.keepAlive else { return .zero }
    let quarter = UInt64(keepAlive / .nanoseconds(1)) / 4
    return .nanoseconds(Int64(randomInteger() % (quarter + 1)))
  }

  /// Section 11: "3600 s − random(0…600 s) → R1". The random part is a number of nanoseconds.
  func enterS2(_ session: Session, at now: Instant) {
    session.state = .s2
    session.hasFailed = false
    // [TIME-12]
    session.resend = .distantFuture
    // Section 14, "The previous key".
    // [DEC-39]
    if session.other != nil { session.previousUntil = now.advanced(by: settings.previousKeyLifetime) }
    // [TIME-6]
    let jitter = UInt64(settings.rekeyJitter / .nanoseconds(1))
    let random = Int64(randomInteger() % (jitter + 1))
    session.timeout = now.advanced(by: settings.rekeyAfter - .nanoseconds(random))
  }

  /// Reports that data can be sent. Section 14: "A session that has its key ends older ones with
  /// the same peer."
  func established(_ session: Session, at now: Instant) {
    var silence = Silence(since: now, early: earliness(), pause: settings.resendInterval)
    silence.look = min(silence.nextC1(settings), silence.end(settings))
    session.silence = silence
    // [DEC-46]
    for other in sessions where other !== session && other.peerKey == session.peerKey && other.canSend {
      end(other, reason: .replaced)
    }
    report(
      .established(
        session: session.id,
        Establishment(
          peer: session.peerKey, isInitiator: session.isInitiator, identity: session.identity,
          address: session.address, chainLength: session.ratchet.state1.chainLength,
          downgradedFrom: session.downgradedFrom)))
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 7, the transitions: S2 → R1 → S1 for the initiator, S2 → R2 → S2 for the responder. The
// last step of either is in Confirmation.swift, because C1 or C2 causes it.

extension ReferencePeer {
  private func kk(_ session: Session) -> KK {
    KK(own: staticKey, peer: session.peer, profile: profile, crypto: crypto)
  }

  /// "Either side in S2 starts it when its timer fires (or at 2^30 uses)": S2 → R1.
  func startRekey(_ session: Session, at now: Instant) {
    let k1: WrittenK1
    do {
      // [KK-1] [KK-2]
      k1 = try kk(session).writeK1(kidI: newKeyID(), session.ratchet.state1)
    } catch { return end(session, reason: .rekeyNotAuthentic) }
    take(&session.ownTokens, at: now)
    session.state = .r1(k1)
    session.revoked = Revocations()
    session.nextK2 = now
    // [TIME-7] [TIME-9]
    session.timeout = now.advanced(by: settings.rekeyTimeout)
    session.resend = now.advanced(by: settings.resendInterval)
    sendControl(.k1, inner: k1.packet, on: session, under: session.current)
  }

  /// "The responder accepts K1 in S2, or in R1 if he was Bob in XK; he stores (new, old) by
  /// compare-and-swap, enters R2, sends K2."
  func receiveK1(_ inner: [UInt8], session: Session, key: SessionKey, at now: Instant) throws(Drop) {
    switch session.state {
    // [KK-10]
    case .s2 where session.isCurrent(key): break
    case .r1 where session.isCurrent(key) && !session.isInitiator: break
    default: throw .unexpected
    }
    // Section 14, "The pace of re-keys".
    // [DEC-34] [DEC-35]
    guard take(&session.peerTokens, at: now) else { throw .rekeyTooSoon }
    let k2: Rekeyed
    do {
      k2 = try kk(session).answerK1(inner, state1: session.ratchet.state1, newKeyID: newKeyID)
    } catch {
      // "An authentication failure *inside* the Noise part of K1/K2 ends the session."
      // [KK-16]
      return end(session, reason: .rekeyNotAuthentic)
    }
    // [DEC-62] [KK-11]
    let stored = RatchetPair(k2.outcome.ratchet, session.ratchet.state1)
    guard try swap(session, to: stored, at: now) else { return }
    // "At most two keys are held; making room for a new one erases the older."
    // [KK-15]
    eraseOther(session)
    session.other = SessionKey(
      k2.outcome, byInitiator: false, localID: k2.kidR, remoteID: k2.kidI, since: session.sendCounter)
    session.state = .r2(k2: k2.packet)
    // [TIME-8] [TIME-9]
    session.timeout = now.advanced(by: settings.rekeyTimeout)
    session.resend = now.advanced(by: settings.resendInterval)
    sendControl(.k2, inner: k2.packet, on: session, under: session.current)
  }

  /// "The initiator in R1 on K2 stores (new, none), makes the new key current, enters S1, sends C1
  /// under the new key."
  func receiveK2(_ inner: [UInt8], session: Session, key: SessionKey, at now: Instant) throws(Drop) {
    guard case .r1(let k1) = session.state, session.isCurrent(key) else { throw .unexpected }
    // Section 14, "The pace of re-keys".
    // [DEC-38]
    guard now >= session.nextK2 else { throw .rekeyTooSoon }
    session.nextK2 = now.advanced(by: settings.resendInterval / 2)
    let k2: Rekeyed
    do {
      k2 = try kk(session).readK2(inner, answering: k1)
    } catch { return end(session, reason: .rekeyNotAuthentic) }
    // Section 14, "Attempts that are abandoned".
    // [DEC-64] [DEC-70]
    guard session.revoked.allow(k2.outcome.ratchet.fingerprint, since: 0) else { throw .superseded }
    // [KK-12]
    guard try swap(session, to: RatchetPair(k2.outcome.ratchet), since: session.revision, at: now) else { return }
    eraseOther(session)
    session.other = session.current
    session.current = SessionKey(
      k2.outcome, byInitiator: true, localID: k2.kidI, remoteID: k2.kidR, since: session.sendCounter)
    session.state = .s1
    session.timeout = now.advanced(by: settings.rekeyTimeout)
    session.resend = now.advanced(by: settings.resendInterval)
    // [KK-12]
    sendC1(session, at: now)
  }

  /// Takes a token, if there is one: section 14, "The pace of re-keys". A few are available at
  /// once, then one per interval.
  @discardableResult
  private func take(_ tokens: inout Tokens, at now: Instant) -> Bool {
    guard tokens.hasOne(of: settings.rekeyBurst, at: now) else { return false }
    tokens.take(every: min(settings.rekeyRefill, settings.rekeyAfter / 2, settings.rekeyTimeout / 2), at: now)
    return true
  }

  // [DEC-39]
  /// Erases the older key, because a new one needs its slot or its time is over (section 14).
  /// Incomplete packets under it are dropped.
  func eraseOther(_ session: Session) {
    if let keyID = session.other?.localID { session.reassembly.removeAll(under: keyID) }
    session.other = nil
  }
}

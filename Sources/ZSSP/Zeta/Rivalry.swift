// SPDX-License-Identifier: Apache-2.0

/// Several sessions with one peer come to one (section 14 of the specification).
///
/// When both sides open at once, the one with the smaller static key is preferred as initiator. Nothing of this shows on
/// the wire, and it works against a peer that does not know it.
extension Endpoint {
  /// What to do with a handshake of a peer that this side may be opening a session to.
  enum RivalVerdict {
    /// Take it, in the place of our own attempt if there is one.
    case proceed
    /// Not now: our own attempt has got as far as X3, and may be confirmed any moment.
    case wait
    /// Leave it: our own attempt has got as far as X3, and is preferred.
    case refuse
  }

  /// Judges a handshake of `peer` that has come to a complete X3.
  func judgeRival(_ peer: PublicKey, at now: Instant) -> RivalVerdict {
    guard let own = opening(to: peer), case .a3 = own.state else { return .proceed }
    if publicKey < peer { return .refuse }
    // The preferred peer refuses our X3, so ours will not be confirmed; a peer that does not know the rule takes it, and
    // confirms within a round trip. Its X3 comes again.
    let sentAt = own.stateDeadline.advanced(by: .zero - settings.handshakeTimeout)
    return now < sentAt.advanced(by: settings.resendInterval) ? .wait : .proceed
  }

  /// This side's attempt to open a session to `peer`, while it has no key to send with.
  func opening(to peer: PublicKey) -> Session? {
    for id in peers[peer] ?? [] {
      if let session = sessions[id], !session.state.canSend { return session }
    }
    return nil
  }

  mutating func enroll(_ session: Session) {
    peers[session.peer, default: []].append(session.id)
  }

  mutating func withdraw(_ session: Session) {
    let peer = session.peer
    guard var ids = peers[peer] else { return }
    ids.removeAll { $0 == session.id }
    peers[peer] = ids.isEmpty ? nil : ids
  }

  /// Whether another session with the peer has changed the ratchet state after `swap` did. Answers of the store may come
  /// out of order: the one who hears of an earlier swap later is the older session all the same.
  func hasNewerSession(with peer: PublicKey, than swap: RequestID?) -> Bool {
    guard let swap else { return false }
    return (peers[peer] ?? []).contains { id in
      guard let other = sessions[id], other.state.canSend, let last = other.lastSwap else { return false }
      return last.value > swap.value
    }
  }

  /// A session has its key: the others with the same peer that had theirs before are over.
  mutating func replaceOthers(with session: Session) {
    for id in peers[session.peer] ?? [] where id != session.id {
      if let other = sessions[id], other.state.canSend { end(other, .replaced) }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

/// How much an endpoint holds, for tests of its bounds.
package struct Diagnostics: Sendable, Hashable {
  /// Sessions in any state.
  package let sessions: Int
  /// Half-open handshakes.
  package let halfOpen: Int
  /// Hellos of which fragments are missing.
  package let incompleteHellos: Int
  /// Hellos that wait for their turn.
  package let waitingHellos: Int
  /// Bytes of all incomplete packets: Hellos, X3s, and those of sessions.
  package let reassemblyBytes: Int
  /// Bytes of incomplete packets of the session that has most of them.
  package let largestReassembly: Int
  /// Key ids that lead to a session or handshake.
  package let keyIDs: Int
  /// Sessions and handshakes with a deadline.
  package let timers: Int
  /// Requests whose answers are waited for.
  package let requests: Int
  /// Challenges that were redeemed and are remembered.
  package let redeemedChallenges: Int

  package init(
    sessions: Int, halfOpen: Int, incompleteHellos: Int, reassemblyBytes: Int, largestReassembly: Int, keyIDs: Int,
    timers: Int, requests: Int, redeemedChallenges: Int, waitingHellos: Int = 0
  ) {
    (self.sessions, self.halfOpen, self.incompleteHellos) = (sessions, halfOpen, incompleteHellos)
    (self.reassemblyBytes, self.largestReassembly) = (reassemblyBytes, largestReassembly)
    (self.keyIDs, self.timers, self.requests) = (keyIDs, timers, requests)
    (self.redeemedChallenges, self.waitingHellos) = (redeemedChallenges, waitingHellos)
  }
}

/// What tells a session and its current key from others, without giving them away.
package struct KeyMark: Sendable, Hashable {
  /// A block under the header key for sending. It is the other side's ``receiving`` if the session is the same.
  package let sending: [UInt8]
  /// A block under the header key for receiving.
  package let receiving: [UInt8]
  /// The fingerprint of the ratchet state that was derived with the current key.
  package var fingerprint: Fingerprint
  /// The chain length of that state.
  package let chainLength: UInt64
}

/// What tells the handshake that a session came from, or is in, from others. The other side has the two the other way round.
package struct HandshakeMark: Sendable, Hashable {
  package let sending: UInt64
  package let receiving: UInt64

  /// Whether `other` is the same handshake as the other side sees it.
  package func matches(_ other: HandshakeMark) -> Bool { sending == other.receiving && receiving == other.sending }
}

extension Endpoint {
  /// How much there is of everything that could grow.
  package var diagnostics: Diagnostics {
    let ofSessions = peers.sessions.all.map(\.reassembly.bytes)
    let ofHandshakes = hellos.handshakes.map(\.reassembly.bytes)
    return Diagnostics(
      sessions: peers.count, halfOpen: hellos.count, incompleteHellos: hellos.reassembly.count,
      reassemblyBytes: hellos.reassembly.bytes + (ofSessions + ofHandshakes).reduce(0, +),
      largestReassembly: ofSessions.max() ?? 0, keyIDs: keyIDs.count,
      timers: timers.count, requests: pending.count, redeemedChallenges: hellos.challenges.redeemedCount,
      waitingHellos: hellos.gate.waiting)
  }

  /// What tells a session and its current key from others; nil before there is a key.
  package func keyMark(_ id: SessionID) -> KeyMark? {
    guard let key = peers[id]?.core.keys.current, let blocks = headerBlocks(id) else { return nil }
    return KeyMark(
      sending: blocks.sending, receiving: blocks.receiving, fingerprint: key.fingerprint, chainLength: key.chainLength)
  }

  /// The blocks under the header keys of a session for sending and receiving, as in ``KeyMark``, which last as long as its
  /// handshake counts; nil before there is an X1.
  package func handshakeMark(_ id: SessionID) -> HandshakeMark? {
    headerBlocks(id).map { blocks in
      HandshakeMark(
        sending: blocks.sending.rawBytes.load(UInt64.self, at: 0),
        receiving: blocks.receiving.rawBytes.load(UInt64.self, at: 0))
    }
  }

  /// A block of zeros under each of the header keys.
  private func headerBlocks(_ id: SessionID) -> (sending: [UInt8], receiving: [UInt8])? {
    guard let session = peers[id], let sending = session.core.keys.headerSendingKey(provider),
      let receiving = session.core.keys.headerReceivingKey(provider)
    else { return nil }
    func block(_ key: any HeaderKey) -> [UInt8] {
      var block = [UInt8](repeating: 0, count: FragmentHeader.protectedBytes.count)
      block.withMutableBytes { key.encrypt(&$0) }
      return block
    }
    return (block(sending), block(receiving))
  }

  /// What this side calls the key that a session sends with; nil before there is one.
  package func localKeyID(_ id: SessionID) -> KeyID? { peers[id]?.core.keys.current?.localID }

  /// The timers of a session's state: when it ends, and when its packet is sent again.
  package func stateTimers(_ id: SessionID) -> (state: Instant, resend: Instant)? {
    peers[id].map(\.stateDeadlines).map { ($0.end, $0.resend) }
  }
}

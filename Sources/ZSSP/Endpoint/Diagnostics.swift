// SPDX-License-Identifier: Apache-2.0

/// The sizes of an endpoint's tables and buffers, for tests of its bounds.
package struct Diagnostics: Sendable, Hashable {
  /// Sessions in any state.
  package let sessions: Int
  /// Half-open handshakes.
  package let halfOpen: Int
  /// Hellos with missing fragments.
  package let incompleteHellos: Int
  /// Queued Hellos.
  package let waitingHellos: Int
  /// Bytes of all incomplete packets: Hellos, X3s, and packets of sessions.
  package let reassemblyBytes: Int
  /// Bytes of the incomplete packets of the session that has most.
  package let largestReassembly: Int
  /// Key ids of sessions and handshakes.
  package let keyIDs: Int
  /// Sessions and handshakes with a deadline.
  package let timers: Int
  /// Requests without an answer.
  package let requests: Int
  /// Remembered challenges that were redeemed.
  package let redeemedChallenges: Int

  package init(
    sessions: Int, halfOpen: Int, incompleteHellos: Int, reassemblyBytes: Int, largestReassembly: Int, keyIDs: Int,
    timers: Int, requests: Int, redeemedChallenges: Int, waitingHellos: Int = 0
  ) {
    self.sessions = sessions
    self.halfOpen = halfOpen
    self.incompleteHellos = incompleteHellos
    self.reassemblyBytes = reassemblyBytes
    self.largestReassembly = largestReassembly
    self.keyIDs = keyIDs
    self.timers = timers
    self.requests = requests
    self.redeemedChallenges = redeemedChallenges
    self.waitingHellos = waitingHellos
  }
}

/// An identifier of a session and its current key, which does not reveal them.
package struct KeyMark: Sendable, Hashable {
  /// A block under the header key for sending. It equals the peer's ``receiving`` if the session is
  /// the same.
  package let sending: [UInt8]
  /// A block under the header key for receiving.
  package let receiving: [UInt8]
  /// The first bytes of the fingerprint of the ratchet state that was derived with the current key.
  package var statePrefix: UInt64
  /// The chain length of that state.
  package let chainLength: UInt64
}

/// An identifier of a handshake that is under way or led to a session. The peer has the two values
/// swapped.
package struct HandshakeMark: Sendable, Hashable {
  package let sending: UInt64
  package let receiving: UInt64

  /// Returns true if `other` is the peer's mark of the same handshake.
  package func matches(_ other: HandshakeMark) -> Bool { sending == other.receiving && receiving == other.sending }
}

extension Endpoint {
  /// The present sizes of everything that can grow.
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

  /// Returns the mark of a session and its current key; nil before it has a key.
  package func keyMark(_ id: SessionID) -> KeyMark? {
    guard let key = peers[id]?.core.keys.current, let blocks = headerBlocks(id) else { return nil }
    return KeyMark(
      sending: blocks.sending, receiving: blocks.receiving, statePrefix: key.statePrefix, chainLength: key.chainLength)
  }

  /// Returns the mark of a session's handshake: the blocks of ``KeyMark``, which stay the same as
  /// long as the handshake counts. Nil before there is an X1.
  package func handshakeMark(_ id: SessionID) -> HandshakeMark? {
    headerBlocks(id).map { blocks in
      HandshakeMark(
        sending: blocks.sending.rawBytes.load(UInt64.self, at: 0),
        receiving: blocks.receiving.rawBytes.load(UInt64.self, at: 0))
    }
  }

  /// Returns a block of zeros under each of the header keys.
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

  /// Returns this side's id of the key that a session sends with; nil before it has one.
  package func localKeyID(_ id: SessionID) -> KeyID? { peers[id]?.core.keys.current?.localID }

  /// Returns the timers of a session's state: its end, and the next resend of its packet.
  package func stateTimers(_ id: SessionID) -> (state: Instant, resend: Instant)? {
    peers[id].map(\.stateDeadlines).map { ($0.end, $0.resend) }
  }
}

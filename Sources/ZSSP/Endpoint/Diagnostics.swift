// SPDX-License-Identifier: Apache-2.0

/// How much an endpoint holds, for tests of its bounds.
package struct Diagnostics: Sendable, Hashable {
  /// Sessions in any state.
  package let sessions: Int
  /// Half-open handshakes.
  package let halfOpen: Int
  /// Hellos of which fragments are missing.
  package let incompleteHellos: Int
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
    timers: Int, requests: Int, redeemedChallenges: Int
  ) {
    (self.sessions, self.halfOpen, self.incompleteHellos) = (sessions, halfOpen, incompleteHellos)
    (self.reassemblyBytes, self.largestReassembly) = (reassemblyBytes, largestReassembly)
    (self.keyIDs, self.timers, self.requests) = (keyIDs, timers, requests)
    self.redeemedChallenges = redeemedChallenges
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

extension Endpoint {
  /// How much there is of everything that could grow.
  package var diagnostics: Diagnostics {
    let ofSessions = sessions.all.map(\.reassembly.bytes)
    return Diagnostics(
      sessions: sessions.count, halfOpen: halfOpen.count, incompleteHellos: hellos.count,
      reassemblyBytes: hellos.bytes + ofSessions.reduce(0, +) + halfOpen.reduce(0) { $0 + $1.reassembly.bytes },
      largestReassembly: ofSessions.max() ?? 0, keyIDs: keyIDs.count,
      timers: timers.count, requests: continuations.count, redeemedChallenges: challenges.redeemedCount)
  }

  /// What tells a session and its current key from others; nil before there is a key.
  package func keyMark(_ id: SessionID) -> KeyMark? {
    guard let session = sessions[id], let key = session.currentKey, let headerKeys = session.headerKeys else {
      return nil
    }
    let (sending, receiving) = (headerKeys.makeSendingKey(provider), headerKeys.receivingKey(provider))
    func mark(_ key: any HeaderKey) -> [UInt8] {
      var block = [UInt8](repeating: 0, count: FragmentHeader.protectedBytes.count)
      block.withMutableBytes { key.encrypt(&$0) }
      return block
    }
    return KeyMark(
      sending: mark(sending), receiving: mark(receiving), fingerprint: key.fingerprint, chainLength: key.chainLength)
  }

  /// The timers of a session's state: when it ends, and when its packet is sent again.
  package func stateTimers(_ id: SessionID) -> (state: Instant, resend: Instant)? {
    sessions[id].map { ($0.stateDeadline, $0.resendDeadline) }
  }
}

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

  /// The timers of a session's state: when it ends, and when its packet is sent again.
  package func stateTimers(_ id: SessionID) -> (state: Instant, resend: Instant)? {
    sessions[id].map { ($0.stateDeadline, $0.resendDeadline) }
  }
}

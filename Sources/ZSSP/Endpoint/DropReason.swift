// SPDX-License-Identifier: Apache-2.0

/// The reason why a datagram was dropped. ``Statistics`` counts each one. None changes the state of
/// a session.
public enum DropReason: Int, Sendable, Hashable, CaseIterable {
  /// Shorter than 32 bytes, or longer than any fragment can be.
  case badLength
  /// The header or size is one that the protocol never produces: fragment number or count, type,
  /// packet length.
  case malformed
  /// No session or half-open handshake has the key id.
  case unknownKeyID
  /// The header is not one that the session expects in its state (the table of section 5).
  case unexpected
  /// The counter was received before, is older than the replay window, or is too far ahead.
  case replayed
  /// The fragment was received before.
  case duplicateFragment
  /// The reassembly buffer has no room for the packet.
  case reassemblyFull
  /// The packet was not complete in time.
  case reassemblyTimeout
  /// Something in the packet is not authentic.
  case notAuthentic
  /// The responder is silent to a Hello without a ratchet state that it knows; see
  /// ``SecurityFlags/helloRequiresRatchet``.
  case unknownRatchet
  /// A previous packet of the same handshake is still being processed, or too many handshakes are.
  case busy
  /// A half-open handshake or a queued Hello was evicted for a newer one.
  case evicted
  /// A handshake with an accept request took too long. It is not counted, because no packet is
  /// dropped.
  case handshakeTimeout
  /// The application refused the peer, or the policy on downgrades did.
  case refused
  /// The ratchet store failed.
  case storeFailed
  /// Another session with the same peer changed the ratchet state first.
  case ratchetConflict
  /// The policy does not admit the Hello without a proof of work. A challenge was sent.
  case challenged
  /// The policy does not admit the Hello, or the ``HelloBudget`` has no time for an X3 beyond the
  /// first of its handshake. The initiator resends X3.
  case overBudget
  /// A queued Hello waited too long for its turn.
  case queueTimeout
  /// The peer opened a session while this side was opening one to it, and this side's opening
  /// continues.
  case superseded
  /// A challenge does not answer any Hello of this endpoint.
  case unexpectedChallenge
  /// A K1 or K2 arrived sooner after another one than ``Settings/rekeyBurst`` and
  /// ``Settings/rekeyRefill`` allow. The peer resends it.
  case rekeyTooSoon
  /// An incomplete packet was evicted for a newer one, because the endpoint holds
  /// ``Settings/totalReassemblyBytes``.
  case reassemblyEvicted
}

// SPDX-License-Identifier: Apache-2.0

/// Why a datagram was dropped. Each is counted in ``Statistics``; none changes the state of a session.
public enum DropReason: Int, Sendable, Hashable, CaseIterable {
  /// Shorter than 32 bytes, or longer than any fragment can be.
  case badLength
  /// A header or a size that the protocol never produces: fragment number or count, type, length of a packet.
  case malformed
  /// No session or half-open handshake has the key id.
  case unknownKeyID
  /// The header is not one that the session expects in its state (the table of section 5).
  case implausible
  /// The counter was received before, is older than the replay window, or is too far ahead.
  case replayed
  /// The fragment is there already.
  case duplicateFragment
  /// The reassembly buffer has no room for the packet.
  case reassemblyFull
  /// The packet was not complete in time.
  case reassemblyTimeout
  /// Something in the packet is not authentic.
  case notAuthentic
  /// The responder is silent to a Hello without a ratchet state that it knows (flag π1).
  case unknownRatchet
  /// A previous packet of the same handshake is still being worked on, or too many handshakes are.
  case busy
  /// A half-open handshake made room for a newer one, or a Hello that waited for its turn did.
  case evicted
  /// A handshake that the application was asked about took too long. Not counted: no packet is dropped.
  case handshakeTimeout
  /// The application refused the peer, or the policy on downgrades did.
  case refused
  /// The ratchet store failed.
  case storeFailed
  /// Another session instance changed the ratchet state first.
  case ratchetConflict
  /// A Hello that the policy does not let in without a proof of work. The challenge is on its way.
  case challenged
  /// A Hello that the policy does not let in, or an X3 beyond the first of its handshake for which
  /// the ``HelloBudget`` has no time. The sender of X3 sends it again.
  case overBudget
  /// A Hello that waited for its turn in vain.
  case queueTimeout
  /// The peer opened a session while this side opened one to it, and this side's goes on.
  case superseded
  /// A challenge that answers no Hello of ours.
  case unexpectedChallenge
  /// A K1 or K2 that comes sooner after another than ``Settings/rekeyBurst`` and
  /// ``Settings/rekeyRefill`` allow. The peer sends it again.
  case rekeyTooSoon
  /// An incomplete packet made room for a newer one because the endpoint holds
  /// ``Settings/totalReassemblyBytes``.
  case reassemblyEvicted
}

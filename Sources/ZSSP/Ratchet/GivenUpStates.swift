// SPDX-License-Identifier: Apache-2.0

/// The name of a ratchet state that a peer has given up, which another endpoint with the same store might still come to;
/// see ``Endpoint/givenUp``.
public struct GivenUpState: Sendable, Hashable {
  let fingerprint: Fingerprint
  let peer: PublicKey
}

/// Names of ratchet states that the peer held unconfirmed, and has begun a new handshake without (section 14).
///
/// The latest few are kept: the peer gives one up with each attempt that it abandons after X2, and no attempt is waited for
/// longer than a few of these.
struct GivenUpStates: Sendable {
  private static let limit = 8
  /// So many are kept for other shards while nobody asks for them.
  static let sharedLimit = 64

  private var fingerprints: [Fingerprint] = []

  /// Whether the state of this name was given up.
  func contains(_ fingerprint: Fingerprint) -> Bool { fingerprints.contains(fingerprint) }

  /// The peer goes on without the state of this name.
  mutating func insert(_ fingerprint: Fingerprint) {
    guard !fingerprints.contains(fingerprint) else { return }
    if fingerprints.count == Self.limit { fingerprints.removeFirst() }
    fingerprints.append(fingerprint)
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Issues challenges for the responder, and records which of them were redeemed (section 8).
///
/// A challenge costs no memory until it is answered. Only redeemed challenges are remembered, so
/// strangers cannot push out an honest peer's challenge, however many they request. A challenge is
/// valid until its salt was rotated twice. Without early rotations (``redeemedLimit``) that takes
/// at least ``saltLifetime`` and less than twice that.
package struct ChallengeIssuer: Sendable {
  /// The time that a salt makes new challenges. Answers to them are accepted for as long again.
  package static let saltLifetime = Duration.seconds(60)

  /// A salt and the counters that were redeemed under it.
  private struct Epoch: Sendable {
    let salt: Secret
    // [DEC-49]
    var redeemed: Set<UInt64> = []
  }

  // [DEC-50]
  /// The number of redeemed challenges at which the salt is rotated early. An attacker pays about 4
  /// ms of processor time for each, so one core needs minutes.
  package static let redeemedLimit = 1 << 16

  private var current: Epoch
  private var previous: Epoch?
  private var rotation: Instant?
  private var nextCounter: UInt64 = 0

  /// Creates an issuer without redeemed challenges. `salt` is 32 random bytes.
  package init(salt: Secret) { current = Epoch(salt: salt) }

  /// The number of redeemed challenges that are remembered.
  package var redeemedCount: Int { current.redeemed.count + (previous?.redeemed.count ?? 0) }

  /// Returns a challenge to a Hello from `source` that carried `proof`.
  package mutating func issue(
    to source: Address, proof: UInt64, provider: any CryptoProvider, at now: Instant
  ) -> ChallengeResponse {
    rotateIfDue(provider, at: now)
    defer { nextCounter &+= 1 }
    // [CHAL-7]
    return Self.mark(nextCounter, for: source, salt: current.salt, provider: provider).with(proof: proof)
  }

  /// Returns true if a response from `source` proves work and was not used before, and marks it as
  /// used.
  package mutating func redeem(
    _ response: ChallengeResponse, from source: Address, provider: any CryptoProvider, at now: Instant
  ) -> Bool {
    // [CHAL-5]
    guard ProofOfWork.holds(response, provider: provider) else { return false }
    rotateIfDue(provider, at: now)
    // [CHAL-4]
    if Self.isMarked(response, for: source, salt: current.salt, provider: provider) {
      // [CHAL-3] [CHAL-6]
      return current.redeemed.insert(response.counter).inserted
    }
    guard let salt = previous?.salt, Self.isMarked(response, for: source, salt: salt, provider: provider) else {
      return false
    }
    return previous?.redeemed.insert(response.counter).inserted ?? false
  }

  private mutating func rotateIfDue(_ provider: any CryptoProvider, at now: Instant) {
    guard let due = rotation else {
      rotation = now.advanced(by: Self.saltLifetime)
      return
    }
    // [DEC-50]
    guard due <= now || current.redeemed.count >= Self.redeemedLimit else { return }
    // After a long silence the current salt is too old to become the previous one. After a short
    // one it stays valid for the rest of its second lifetime, which does not start again.
    let end = due.advanced(by: Self.saltLifetime)
    previous = now < end ? current : nil
    current = Epoch(salt: provider.random(32))
    rotation = due <= now && now < end ? end : now.advanced(by: Self.saltLifetime)
  }

  /// Returns the counter with `mac_d = HASH(d || source address || salt)[0..<16]`.
  private static func mark(
    _ counter: UInt64, for source: Address, salt: Secret, provider: any CryptoProvider
  ) -> ChallengeResponse {
    let input = (0..<8).map { UInt8(truncatingIfNeeded: counter >> (56 - 8 * $0)) } + source.bytes
    // [CHAL-9]
    let digest = provider.hash(input.rawBytes, salt.bytes)
    return ChallengeResponse(counter: counter, mac: digest.bytes, proof: 0)
  }

  private static func isMarked(
    _ response: ChallengeResponse, for source: Address, salt: Secret, provider: any CryptoProvider
  ) -> Bool {
    let right = mark(response.counter, for: source, salt: salt, provider: provider)
    return (right.macHigh ^ response.macHigh) | (right.macLow ^ response.macLow) == 0
  }
}

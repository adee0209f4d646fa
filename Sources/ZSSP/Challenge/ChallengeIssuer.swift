// SPDX-License-Identifier: Apache-2.0

/// Bob's side of the challenge protocol (section 8): marks for addresses, and which of them were used.
///
/// A challenge costs no memory until it is answered. Only answered ones are remembered, so that no number of strangers can push
/// an honest peer's challenge out of a window; each is good for as long as its salt: until the second rotation
/// from now, at least ``saltLifetime`` and less than twice that.
package struct ChallengeIssuer: Sendable {
  /// How long a salt makes new challenges; it is good for answers as long again.
  package static let saltLifetime = Duration.seconds(60)

  /// A salt and the counters that were redeemed under it.
  private struct Epoch: Sendable {
    let salt: Secret
    // [DEC-49]
    var redeemed: Set<UInt64> = []
  }

  // [DEC-50]
  /// At so many redeemed challenges the salt is rotated early. At 4 ms of an attacker's time each, a core needs minutes.
  package static let redeemedLimit = 1 << 16

  private var current: Epoch
  private var previous: Epoch?
  private var rotation: Instant?
  private var nextCounter: UInt64 = 0

  /// Begins with 32 random bytes of salt.
  package init(salt: Secret) { current = Epoch(salt: salt) }

  /// How many redeemed challenges are remembered.
  package var redeemedCount: Int { current.redeemed.count + (previous?.redeemed.count ?? 0) }

  /// A challenge to a Hello from `source` that carried `proof`.
  package mutating func issue(
    to source: Address, proof: UInt64, provider: any CryptoProvider, at now: Instant
  ) -> ChallengeResponse {
    rotateIfDue(provider, at: now)
    defer { nextCounter &+= 1 }
    // [CHAL-7]
    return Self.mark(nextCounter, source, current.salt, provider).with(proof: proof)
  }

  /// Whether a response from `source` proves work, and was not used before; then it is used now.
  package mutating func redeem(
    _ response: ChallengeResponse, from source: Address, provider: any CryptoProvider, at now: Instant
  ) -> Bool {
    // [CHAL-5]
    guard ProofOfWork.holds(response, provider: provider) else { return false }
    rotateIfDue(provider, at: now)
    // [CHAL-4]
    if Self.isMarked(response, source, current.salt, provider) {
      // [CHAL-3] [CHAL-6]
      return current.redeemed.insert(response.counter).inserted
    }
    guard let salt = previous?.salt, Self.isMarked(response, source, salt, provider) else { return false }
    return previous?.redeemed.insert(response.counter).inserted ?? false
  }

  private mutating func rotateIfDue(_ provider: any CryptoProvider, at now: Instant) {
    guard let due = rotation else {
      rotation = now.advanced(by: Self.saltLifetime)
      return
    }
    // [DEC-50]
    guard due <= now || current.redeemed.count >= Self.redeemedLimit else { return }
    // After a long silence even the current salt is too old to be the previous one. After a short one it is good for what is
    // left of its second lifetime, which does not begin anew.
    let end = due.advanced(by: Self.saltLifetime)
    previous = now < end ? current : nil
    current = Epoch(salt: provider.random(32))
    rotation = due <= now && now < end ? end : now.advanced(by: Self.saltLifetime)
  }

  /// `mac_d = HASH(d || source address || salt)[0..<16]`
  private static func mark(
    _ counter: UInt64, _ source: Address, _ salt: Secret, _ provider: any CryptoProvider
  ) -> ChallengeResponse {
    let input = (0..<8).map { UInt8(truncatingIfNeeded: counter >> (56 - 8 * $0)) } + source.bytes
    // [CHAL-9]
    let digest = provider.hash(input.rawBytes, salt.bytes)
    return ChallengeResponse(counter: counter, mac: digest.bytes, proof: 0)
  }

  private static func isMarked(
    _ response: ChallengeResponse, _ source: Address, _ salt: Secret, _ provider: any CryptoProvider
  ) -> Bool {
    let right = mark(response.counter, source, salt, provider)
    return (right.macHigh ^ response.macHigh) | (right.macLow ^ response.macLow) == 0
  }
}

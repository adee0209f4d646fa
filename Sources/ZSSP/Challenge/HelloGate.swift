// SPDX-License-Identifier: Apache-2.0

/// Decides, Hello by Hello, what the policy comes to. Its memory is fixed.
struct HelloGate: Sendable {
  /// What to do with a Hello.
  enum Verdict: Hashable {
    case admit
    case challenge
    case drop
  }

  private static let columns = 1024

  var policy: HelloPolicy
  /// Challenging would break silence (π1).
  private let isSilent: Bool
  private var unchallenged = RateLimiter()
  private var challenged = RateLimiter()
  /// Limiters for hosts, two for each, in places that a secret hash picks: who shares one of them with a busy host
  /// still has the other. Made at the first Hello.
  private var sources: [RateLimiter] = []
  private let salt: Secret

  init(policy: HelloPolicy, isSilent: Bool, salt: Secret) {
    self.policy = policy
    self.isSilent = isSilent
    self.salt = salt
  }

  /// Judges a Hello.
  ///
  /// - Parameters:
  ///   - response: what the Hello brings. It is redeemed with `issuer` only when that decides.
  mutating func judge(
    _ response: ChallengeResponse, from source: Address, _ issuer: inout ChallengeIssuer,
    provider: any CryptoProvider, at now: Instant
  ) -> Verdict {
    func redeem() -> Bool { issuer.redeem(response, from: source, provider: provider, at: now) }
    switch policy {
    case .allow: return .admit
    case .drop: return .drop
    case .challenge: return redeem() ? .admit : .challenge
    case .automatic(let budget):
      if sources.isEmpty { sources = Array(repeating: RateLimiter(), count: 2 * Self.columns) }
      let places = places(source, provider)
      let sourceAdmits = places.contains { sources[$0].admits(budget.perSource, at: now) }
      if sourceAdmits, unchallenged.admits(budget.unchallenged, at: now) {
        unchallenged.count(budget.unchallenged, at: now)
        for place in places { sources[place].count(budget.perSource, at: now) }
        return .admit
      }
      guard !isSilent else { return .drop }
      guard response.isAnswer else { return .challenge }
      // Checked before the answer is redeemed, so that one that comes at a bad moment can come again.
      guard sourceAdmits, challenged.admits(budget.challenged, at: now) else { return .drop }
      guard redeem() else { return .challenge }
      challenged.count(budget.challenged, at: now)
      for place in places { sources[place].count(budget.perSource, at: now) }
      return .admit
    }
  }

  /// The two limiters of a host. Its port does not matter, and of an IPv6 address only the first 64 bits: a host has
  /// all the others for the asking.
  private func places(_ source: Address, _ provider: any CryptoProvider) -> [Int] {
    let host =
      source.family == .ipv6
      ? Address(ipv6: source.high, 0, port: 0) : Address(ipv4: UInt32(truncatingIfNeeded: source.low), port: 0)
    let bytes = host.bytes
    let digest = provider.hash(bytes.rawBytes, salt.bytes)
    let word = digest.bytes.load(UInt32.self, at: 0)
    return [Int(word) % Self.columns, Self.columns + Int(word >> 16) % Self.columns]
  }
}

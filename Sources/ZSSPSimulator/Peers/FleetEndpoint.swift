// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPRandom

/// Several endpoints with one static key and one store that act as one, as behind a load balancer.
///
/// A packet of a session goes to the endpoint whose number is in its key id. All others go to an
/// endpoint chosen by their source, and every few seconds by another rule: a peer's attempts reach
/// different endpoints while earlier ones are still under way. The endpoints share only the store.
/// They are told when a peer has a newer session at another one, because an application has one
/// session per peer.
final class FleetEndpoint: ClusterEndpoint {
  /// The time in nanoseconds for which a source is mapped to the same endpoint.
  private static let constancy: Int64 = 7_000_000_000

  /// Makes 2 to 16 endpoints.
  ///
  /// - Throws: `ConfigurationError`.
  init(_ environment: SimulatedEnvironment, count: Int) throws(ConfigurationError) {
    try super.init(environment, count: count) { _, _ in }
  }

  /// Returns the endpoint for a sender without a session.
  private func choose(_ name: UInt64, at now: Instant) -> Int {
    let spell = UInt64(bitPattern: now.nanoseconds / Self.constancy)
    return Int(SplitMix64.mix(SplitMix64.mix(name) &+ spell) % UInt64(nodes.count))
  }

  override func addressee(of datagram: [UInt8], from source: Address, at now: Instant) -> Int {
    let keyID = KeyID(addressee: datagram.rawBytes)?.value ?? 0
    let number = Int(keyID >> (32 - UInt32(Self.bits)))
    guard keyID == 0 || number >= nodes.count else { return number }
    return choose(source.low &* 65_537 &+ UInt64(source.port), at: now)
  }

  override func opener(to peer: PublicKey, at address: Address, now: Instant) -> Int { choose(address.low, at: now) }

  override func established(_ session: Int, with peer: PublicKey) {
    // In order, so that a run is reproducible.
    let others = peers.filter { $0.value == peer && owner(of: $0.key) != owner(of: session) }.keys.sorted()
    for other in others { node(of: other).replace(local(other)) }
  }
}

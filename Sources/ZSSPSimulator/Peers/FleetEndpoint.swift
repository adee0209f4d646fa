// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Several endpoints with one static key and one store in the place of one, as behind a load balancer.
///
/// What belongs to a session goes to the endpoint whose number its key id has. Everything else goes by its source, and every few
/// seconds otherwise than before: so a peer's attempts come to different endpoints while those before are still under way.
/// Endpoints share nothing but the store. They are told when a peer has a newer session at another one, for an application
/// has one session with a peer.
final class FleetEndpoint: ClusterEndpoint {
  /// How long a source goes to the same endpoint, in nanoseconds.
  private static let constancy: Int64 = 7_000_000_000

  /// `count` endpoints, 2 to 16.
  init(_ environment: SimulatedEnvironment, _ count: Int) throws(ConfigurationError) {
    try super.init(environment, count) { _, _ in }
  }

  /// The endpoint for someone who has no session.
  private func choose(_ name: UInt64, at now: Instant) -> Int {
    let spell = UInt64(bitPattern: now.nanoseconds / Self.constancy)
    return Int(SimulationRandom.mix(SimulationRandom.mix(name) &+ spell) % UInt64(nodes.count))
  }

  override func addressee(of datagram: [UInt8], from source: Address, at now: Instant) -> Int {
    let keyID = KeyID(addressee: datagram.rawBytes)?.value ?? 0
    let number = Int(keyID >> (32 - UInt32(Self.bits)))
    guard keyID == 0 || number >= nodes.count else { return number }
    return choose(source.low &* 65_537 &+ UInt64(source.port), at: now)
  }

  override func opener(to peer: PublicKey, at address: Address, now: Instant) -> Int { choose(address.low, at: now) }

  override func established(_ session: Int, with peer: PublicKey) {
    // In order, so that a run is the same each time.
    let others = peers.filter { $0.value == peer && owner(of: $0.key) != owner(of: session) }.keys.sorted()
    for other in others { node(of: other).replace(local(other)) }
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// An endpoint of several shards, as the driver runs them on event loops. Datagrams are steered by
/// the lowest bits of their key ids, those of strangers by a hash of their source. A session is
/// opened in the shard that has one with the peer, or that receives the peer's Hellos.
///
/// The shards share one ``ZSSP/PeerDirectory``, which is lost in a restart.
final class ShardedEndpoint: ClusterEndpoint {
  private let directory: PeerDirectory
  /// The directory's places of established sessions.
  private var places: [Int: PeerDirectory.Place] = [:]

  /// Makes 2, 4, 8 or 16 shards.
  ///
  /// - Throws: `ConfigurationError`.
  init(_ environment: SimulatedEnvironment, count: Int) throws(ConfigurationError) {
    let directory = PeerDirectory()
    self.directory = directory
    try super.init(environment, count: count) { configuration, number in
      configuration.settings.shard = Shard(number, of: count)
      configuration.directory = directory
    }
  }

  /// Returns the shard that receives Hellos from an address.
  private func steer(_ address: Address) -> Int {
    let mixed = (UInt32(truncatingIfNeeded: address.low) ^ UInt32(address.port)) &* 0x9E37_79B1
    return Int(mixed >> 16) & (nodes.count - 1)
  }

  override func addressee(of datagram: [UInt8], from source: Address, at now: Instant) -> Int {
    KeyID(addressee: datagram.rawBytes)?.shard(of: nodes.count) ?? steer(source)
  }

  override func opener(to peer: PublicKey, at address: Address, now: Instant) -> Int {
    directory.shard(for: peer) ?? steer(address)
  }

  override func established(_ session: Int, with peer: PublicKey) {
    let shard = owner(of: session)
    guard let id = nodes[shard].id(of: local(session)) else { return }
    let place = PeerDirectory.Place(shard: shard, session: id)
    places[session] = place
    for older in directory.establish(place, with: peer) where older.shard != shard || older == place {
      nodes[older.shard].replace(older.session)
    }
  }

  override func ended(_ session: Int, with peer: PublicKey?) {
    guard let place = places.removeValue(forKey: session), let peer else { return }
    directory.end(place, with: peer)
  }
}

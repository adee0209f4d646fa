// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPSwiftCrypto

/// Who the peers are, by numbers that stay.
struct Roster: Sendable {
  private(set) var configuration: TunnelConfiguration
  private(set) var peers: [Int: PeerConfiguration]
  private var ids: [PublicKey: Int]
  private var next: Int

  init(_ configuration: TunnelConfiguration) {
    self.configuration = configuration
    (peers, ids, next) = ([:], [:], configuration.peers.count)
    for (id, peer) in configuration.peers.enumerated() {
      peers[id] = peer
      ids[peer.publicKey] = id
    }
  }

  /// The number of the peer with a key.
  func id(of key: PublicKey) -> Int? { ids[key] }

  /// What people call a peer.
  func label(_ id: Int) -> String {
    peers[id].map { $0.name ?? String($0.publicKey.text.prefix(12)) } ?? "a former peer"
  }

  /// The prefixes that have routes, if the tunnel makes any.
  var routed: [IPPrefix] {
    guard configuration.routes else { return [] }
    return NetworkPlan.routed(peers.values.flatMap(\.allowedIPs), configuration.addresses)
  }

  /// Adds a peer, or replaces what is set of it.
  mutating func set(_ peer: PeerConfiguration) {
    let id = ids[peer.publicKey] ?? next
    if id == next { next += 1 }
    (peers[id], ids[peer.publicKey]) = (peer, id)
  }

  /// Removes a peer. Says whether there was one.
  mutating func remove(_ key: PublicKey) -> Bool {
    guard let id = ids.removeValue(forKey: key) else { return false }
    peers[id] = nil
    return true
  }
}

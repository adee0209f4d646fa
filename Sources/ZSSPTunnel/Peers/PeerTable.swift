// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The peers at one moment: a value that ``PeerRegistry`` makes, and that everybody else only reads.
///
/// Peers have numbers, by which packets and sessions find them. A number is never used again.
struct PeerTable: Sendable {
  private(set) var configurations: [Int: PeerConfiguration] = [:]
  private var ids: [PublicKey: Int] = [:]
  private var next = 0
  /// The peer that each address belongs to.
  private(set) var prefixes = PrefixTable()

  /// No peers.
  init() {}

  /// The peers of a configuration, numbered in its order.
  init(_ peers: [PeerConfiguration]) {
    for peer in peers { assign(peer) }
    index()
  }

  /// The number of the peer with a key.
  func id(of key: PublicKey) -> Int? { ids[key] }

  /// The configuration of the peer with a key.
  func peer(_ key: PublicKey) -> PeerConfiguration? { ids[key].flatMap { configurations[$0] } }

  /// The name of a peer for people.
  func label(_ id: Int) -> String { configurations[id]?.label ?? "a former peer" }

  /// Adds a peer, or replaces its configuration.
  mutating func set(_ peer: PeerConfiguration) {
    assign(peer)
    index()
  }

  /// Removes a peer. Returns whether there was one.
  mutating func remove(_ key: PublicKey) -> Bool {
    guard let id = ids.removeValue(forKey: key) else { return false }
    configurations[id] = nil
    index()
    return true
  }

  /// Replaces all peers. Those that stay keep their numbers.
  mutating func replace(_ peers: [PeerConfiguration]) {
    let keys = Set(peers.map(\.publicKey))
    for (key, id) in ids where !keys.contains(key) {
      ids[key] = nil
      configurations[id] = nil
    }
    for peer in peers { assign(peer) }
    index()
  }

  private mutating func assign(_ peer: PeerConfiguration) {
    let id = ids[peer.publicKey] ?? next
    if id == next { next += 1 }
    configurations[id] = peer
    ids[peer.publicKey] = id
  }

  private mutating func index() {
    prefixes = PrefixTable()
    for (id, peer) in configurations {
      for prefix in peer.allowedIPs { prefixes.insert(prefix, id) }
    }
  }
}

extension PeerConfiguration {
  /// The name of the peer for people.
  var label: String { name ?? String(publicKey.text.prefix(12)) }
}

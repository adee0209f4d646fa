// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The peers at one moment: a value that only ``PeerRegistry`` changes.
///
/// Packets and sessions refer to peers by number. A number is never reused.
struct PeerTable: Sendable {
  private(set) var configurations: [Int: PeerConfiguration] = [:]
  private var ids: [PublicKey: Int] = [:]
  private var next = 0
  /// The peers whose ratchet a request replaced by a one-time password.
  private(set) var enrolled: Set<PublicKey> = []
  /// The owners of addresses.
  private(set) var prefixes = PrefixTable()

  /// Makes an empty table.
  init() {}

  /// Makes a table of peers, numbered in their order.
  init(_ peers: [PeerConfiguration]) {
    for peer in peers { assign(peer) }
    index()
  }

  /// Returns the number of the peer with a key; nil if unknown.
  func id(of key: PublicKey) -> Int? { ids[key] }

  /// Returns the configuration of the peer with a key; nil if unknown.
  func peer(_ key: PublicKey) -> PeerConfiguration? { ids[key].flatMap { configurations[$0] } }

  /// Returns the label of a peer for people.
  func label(_ id: Int) -> String { configurations[id]?.label ?? "a former peer" }

  /// Adds a peer, or replaces its configuration.
  mutating func set(_ peer: PeerConfiguration) {
    assign(peer)
    index()
  }

  /// Removes a peer, and returns true if it existed.
  mutating func remove(_ key: PublicKey) -> Bool {
    guard let id = ids.removeValue(forKey: key) else { return false }
    configurations[id] = nil
    enrolled.remove(key)
    index()
    return true
  }

  /// Records that a peer's ratchet was replaced by a one-time password, and insists on it.
  ///
  /// - Parameter flags: The flags of peers that have none of their own.
  mutating func enroll(_ key: PublicKey, flags: SecurityFlags) {
    guard let id = ids[key], var peer = configurations[id] else { return }
    // [RAT-11]
    peer.flags = (peer.flags ?? flags).union(.initiatorDisallowsDowngrade)
    configurations[id] = peer
    enrolled.insert(key)
  }

  /// Replaces all peers. Those that remain keep their numbers.
  mutating func replace(_ peers: [PeerConfiguration]) {
    let keys = Set(peers.map(\.publicKey))
    for (key, id) in ids where !keys.contains(key) {
      ids[key] = nil
      configurations[id] = nil
    }
    enrolled.formIntersection(keys)
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
  /// The peer's name, or the start of its key.
  var label: String { name ?? String(publicKey.text.prefix(12)) }
}

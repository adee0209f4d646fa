// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Merges the peers of a file that was read again into the running tunnel's. What a request changed
/// stays until the file says something else about the same value.
struct PeerMerge {
  /// The peers of the file when it was read last.
  let file: [PublicKey: PeerConfiguration]
  /// The running tunnel's peers.
  let running: [PublicKey: PeerConfiguration]
  /// The peers whose ratchet was replaced by a request. This side insists on it, whatever the file
  /// says.
  let enrolled: Set<PublicKey>
  /// The flags of peers that have none of their own.
  let flags: SecurityFlags

  init(
    file: [PeerConfiguration], running: some Sequence<PeerConfiguration>, enrolled: Set<PublicKey>, flags: SecurityFlags
  ) {
    self.file = Self.byKey(file)
    self.running = Self.byKey(running)
    self.enrolled = enrolled
    self.flags = flags
  }

  private static func byKey(_ peers: some Sequence<PeerConfiguration>) -> [PublicKey: PeerConfiguration] {
    Dictionary(peers.map { ($0.publicKey, $0) }) { _, last in last }
  }

  /// Returns the peers after the file was read again: those of the file in its order, and then
  /// those that requests added.
  func peers(_ next: [PeerConfiguration]) -> [PeerConfiguration] {
    let named = Set(next.map(\.publicKey))
    let fromFile = next.compactMap(merged)
    let added = running.values.filter { file[$0.publicKey] == nil && !named.contains($0.publicKey) }
    return withoutConflicts(fromFile + added.sorted { $0.publicKey < $1.publicKey }, next)
  }

  /// Returns a peer of the file with what requests changed; nil if a request removed it.
  private func merged(_ next: PeerConfiguration) -> PeerConfiguration? {
    let key = next.publicKey
    var peer = next
    if let former = file[key] {
      guard let running = running[key] else { return Self.isSame(former, next) ? nil : next }
      func keep<Value: Equatable>(_ value: WritableKeyPath<PeerConfiguration, Value>) {
        if next[keyPath: value] == former[keyPath: value] { peer[keyPath: value] = running[keyPath: value] }
      }
      keep(\.name)
      keep(\.endpoints)
      keep(\.allowedIPs)
      keep(\.identity)
      keep(\.keepalive)
      keep(\.flags)
      keep(\.mtu)
      keep(\.oneTimePasswordFile)
    }
    // [RAT-11]
    if enrolled.contains(key) { peer.flags = (peer.flags ?? flags).union(.initiatorDisallowsDowngrade) }
    return peer
  }

  /// Returns true if the file says the same of a peer. Flags do not count: without a change of the
  /// file they change when its one-time password has been used.
  private static func isSame(_ former: PeerConfiguration, _ next: PeerConfiguration) -> Bool {
    var former = former
    former.flags = next.flags
    return former == next
  }

  /// Removes prefixes from peers that got them by a request, if the file now gives them to another.
  private func withoutConflicts(_ peers: [PeerConfiguration], _ next: [PeerConfiguration]) -> [PeerConfiguration] {
    var counts: [IPPrefix: Int] = [:]
    for prefix in peers.flatMap(\.allowedIPs) { counts[prefix, default: 0] += 1 }
    var owners: [IPPrefix: PublicKey] = [:]
    for peer in next {
      for prefix in peer.allowedIPs { owners[prefix] = peer.publicKey }
    }
    return peers.map { peer in
      var peer = peer
      peer.allowedIPs.removeAll { prefix in
        counts[prefix, default: 0] > 1 && owners[prefix].map { $0 != peer.publicKey } ?? false
      }
      return peer
    }
  }
}

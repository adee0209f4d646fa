// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The sessions that a shard publishes to the other shards, through the endpoint's directory.
struct CrossShardSessions {
  /// All shards, this one among them.
  let shards: [ShardHandle]
  private let directory: PeerDirectory
  private let shard: Int
  /// The peers of the sessions that the directory knows.
  private var peers: [SessionID: PublicKey] = [:]

  /// - Parameter shard: The index of the shard that owns the sessions.
  init(_ shards: [ShardHandle], directory: PeerDirectory, of shard: Int) {
    self.shards = shards
    self.directory = directory
    self.shard = shard
  }

  /// The consequence of an established session.
  enum Establishment {
    /// The session replaces sessions and attempts of other shards.
    case replaces([PeerDirectory.Place])
    /// A newer session with the peer in another shard replaces it.
    case isReplaced
  }

  /// Records that a session is established.
  mutating func establish(_ session: SessionID, with peer: PublicKey) -> Establishment {
    peers[session] = peer
    let older = directory.establish(place(session), with: peer)
    return older == [place(session)] ? .isReplaced : .replaces(older.filter { $0.shard != shard })
  }

  /// Records that a session has ended.
  mutating func end(_ session: SessionID) {
    guard let peer = peers.removeValue(forKey: session) else { return }
    directory.end(place(session), with: peer)
  }

  private func place(_ session: SessionID) -> PeerDirectory.Place {
    PeerDirectory.Place(shard: shard, session: session)
  }
}

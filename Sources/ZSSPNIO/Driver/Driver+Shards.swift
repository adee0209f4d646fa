// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// What the shards of an endpoint have to tell each other. With one shard the endpoint does all of it by itself.
extension Driver {
  /// The other shards, once all are there.
  struct Siblings {
    let shards: [ShardHandle]
    let directory: PeerDirectory
  }

  func place(_ id: SessionID) -> PeerDirectory.Place { PeerDirectory.Place(shard: shard, session: id) }

  /// This side tries to open a session.
  func noteAttempt(_ id: SessionID, _ peer: PublicKey) {
    guard let siblings else { return }
    peers[id] = peer
    siblings.directory.begin(place(id), with: peer)
  }

  /// A session is established: it takes the place of any that another shard has with the peer, and whoever waits for
  /// one there gets this one.
  func noteEstablished(_ session: EstablishedSession) {
    guard let siblings else { return }
    let peer = session.establishment.peer
    peers[session.id] = peer
    for older in siblings.directory.establish(place(session.id), with: peer) where older.shard != shard {
      siblings.shards[older.shard].tell { driver in driver.replace(older.session, by: session) }
    }
  }

  private func replace(_ id: SessionID, by session: EstablishedSession) {
    guard !isClosed else { return }
    if let attempt = attempts.removeValue(forKey: id) {
      attempt.timer?.cancel()
      attempt.outcome.resolve(.success(session))
    }
    endpoint.replace(id)
    pump()
  }

  /// A session has ended.
  func noteEnded(_ id: SessionID) {
    guard let siblings, let peer = peers.removeValue(forKey: id) else { return }
    siblings.directory.end(place(id), with: peer)
  }
}

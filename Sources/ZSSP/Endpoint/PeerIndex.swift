// SPDX-License-Identifier: Apache-2.0

/// The sessions of an endpoint, by id and by peer.
///
/// A peer has one session, or an older one and those that would replace it: when a new one is
/// established, the others end (section 14).
struct PeerIndex {
  private(set) var sessions = SessionTable()
  private var ids: [PublicKey: [SessionID]] = [:]

  /// The number of sessions, in any state.
  var count: Int { sessions.count }

  subscript(id: SessionID) -> Session? { sessions[id] }

  /// Returns true if a session has not ended.
  func contains(_ session: Session) -> Bool { sessions[session.id] === session }

  /// Returns the ids of the sessions with a peer.
  func ids(of peer: PublicKey) -> [SessionID] { ids[peer] ?? [] }

  /// Returns the sessions with a peer.
  func sessions(with peer: PublicKey) -> [Session] { ids(of: peer).compactMap { sessions[$0] } }

  /// Adds the session that `make` returns for a new id.
  mutating func add(_ make: (SessionID) -> Session) -> Session {
    let session = sessions.add(make)
    ids[session.peer, default: []].append(session.id)
    return session
  }

  /// Removes an ended session.
  mutating func remove(_ session: Session) {
    sessions.remove(session.id)
    guard var others = ids[session.peer] else { return }
    others.removeAll { $0 == session.id }
    ids[session.peer] = others.isEmpty ? nil : others
  }

  /// Uses up an id for an event without a session.
  mutating func spendID(_ make: (SessionID) -> Session) -> SessionID {
    let id = sessions.add(make).id
    sessions.remove(id)
    return id
  }

  /// Returns this side's attempt to open a session to `peer`, until it has a key to send with.
  func opening(to peer: PublicKey) -> Session? { sessions(with: peer).first(where: \.isOpening) }

  // [DEC-46]
  /// Returns the other sessions with the same peer that had their keys before this one.
  func older(than session: Session) -> [Session] {
    sessions(with: session.peer).filter { $0 !== session && $0.canSend }
  }
}

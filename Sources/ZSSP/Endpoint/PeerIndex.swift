// SPDX-License-Identifier: Apache-2.0

/// The sessions of an endpoint, by id and by peer.
///
/// A peer has one session, or an older one and those that would replace it: when a new one is
/// established, the others end (section 14).
struct PeerIndex {
  /// The ids of the sessions with one peer, the oldest first. Nearly all peers have one session,
  /// for which no array is allocated.
  private struct IDs {
    private var first: SessionID
    private var others: [SessionID] = []

    init(_ id: SessionID) { first = id }

    var all: [SessionID] { [first] + others }

    mutating func append(_ id: SessionID) { others.append(id) }

    /// Returns the ids but this one; nil if there are no others.
    func removing(_ id: SessionID) -> IDs? {
      var ids = self
      ids.others.removeAll { $0 == id }
      guard first == id else { return ids }
      guard let next = ids.others.first else { return nil }
      ids.first = next
      // A new array, which takes no memory if it is empty.
      ids.others = Array(ids.others.dropFirst())
      return ids
    }
  }

  private(set) var sessions = SessionTable()
  private var ids: [PublicKey: IDs] = [:]

  /// The number of sessions, in any state.
  var count: Int { sessions.count }

  subscript(id: SessionID) -> Session? { sessions[id] }

  /// Returns true if a session has not ended.
  func contains(_ session: Session) -> Bool { sessions[session.id] === session }

  /// Returns the ids of the sessions with a peer.
  func ids(of peer: PublicKey) -> [SessionID] { ids[peer]?.all ?? [] }

  /// Returns the sessions with a peer.
  func sessions(with peer: PublicKey) -> [Session] { ids(of: peer).compactMap { sessions[$0] } }

  /// Adds the session that `make` returns for a new id.
  mutating func add(_ make: (SessionID) -> Session) -> Session {
    let session = sessions.add(make)
    if ids[session.peer] == nil { ids[session.peer] = IDs(session.id) } else { ids[session.peer]?.append(session.id) }
    return session
  }

  /// Removes an ended session.
  mutating func remove(_ session: Session) {
    sessions.remove(session.id)
    ids[session.peer] = ids[session.peer]?.removing(session.id)
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

// SPDX-License-Identifier: Apache-2.0

/// The sessions of an endpoint by id. An index is reused with another generation, so an old id
/// finds nothing.
struct SessionTable {
  private struct Place {
    var generation: UInt32
    var session: Session?
  }

  private var places: [Place] = []
  private var free: [UInt32] = []

  /// The number of sessions.
  var count: Int { places.count - free.count }

  /// Returns the session at the index of an id, which may be a successor of the id's session. Its
  /// reference is not counted, and is valid until the table changes.
  @inline(__always)
  func place(_ id: SessionID) -> Unmanaged<Session>? {
    guard Int(id.index) < places.count, let session = places[Int(id.index)].session else { return nil }
    return unsafe Unmanaged.passUnretained(session)
  }

  /// All sessions, in no particular order.
  var all: some Sequence<Session> { places.lazy.compactMap(\.session) }

  subscript(id: SessionID) -> Session? {
    guard Int(id.index) < places.count, places[Int(id.index)].generation == id.generation else { return nil }
    return places[Int(id.index)].session
  }

  /// Adds the session that `make` returns for a new id.
  mutating func add(_ make: (SessionID) -> Session) -> Session {
    if free.isEmpty {
      free.append(UInt32(places.count))
      places.append(Place(generation: 0, session: nil))
    }
    let index = free.removeLast()
    places[Int(index)].generation &+= 1
    let session = make(SessionID(index: index, generation: places[Int(index)].generation))
    places[Int(index)].session = session
    return session
  }

  mutating func remove(_ id: SessionID) {
    guard self[id] != nil else { return }
    places[Int(id.index)].session = nil
    free.append(id.index)
  }
}

// SPDX-License-Identifier: Apache-2.0

/// A session or a half-open handshake, which waits for at most one answer.
protocol Waiting: AnyObject {
  var ticket: PendingOperations.Ticket { get set }
}

/// The owner of a key id or of a request.
enum Owner {
  case session(Session)
  /// A handshake that has led to no session yet.
  case halfOpen(HalfOpenHandshake)

  fileprivate var waiting: any Waiting {
    switch self {
    case .session(let session): session
    case .halfOpen(let handshake): handshake
    }
  }
}

/// The requests of an endpoint, and the owners that wait for their answers. The owners process the
/// answers.
struct PendingOperations {
  /// The request that an owner waits for. Only this file changes it.
  struct Ticket {
    fileprivate var id: RequestID?

    /// True if the owner waits for an answer.
    var isOpen: Bool { id != nil }
  }

  private var owners: [RequestID: Owner] = [:]
  private var requests = Queue<Request>()
  private var last: RequestID

  /// Creates an empty list. Its ids have the bits of a node.
  init(node: Int) { last = .first(ofNode: node) }

  /// The number of requests without an answer.
  var count: Int { owners.count }

  /// Those who wait for an answer.
  var waiting: some Sequence<Owner> { owners.values }

  /// The next request that was not passed on yet, the oldest first.
  mutating func next() -> Request? { requests.pop() }

  /// Adds a request of an owner. The owner stops waiting for an earlier one.
  ///
  /// - Returns: the request's id.
  @discardableResult
  mutating func ask(_ owner: Owner, make: (RequestID) -> Request) -> RequestID {
    let id = RequestID(value: last.value + 1)
    last = id
    stopWaiting(owner.waiting)
    owner.waiting.ticket.id = id
    owners[id] = owner
    requests.push(make(id))
    return id
  }

  /// Removes and returns the owner that waits for an answer; nil if none does.
  mutating func answered(_ id: RequestID) -> Owner? {
    guard let owner = owners.removeValue(forKey: id) else { return nil }
    owner.waiting.ticket.id = nil
    return owner
  }

  /// Makes the owner stop waiting, so that the answer to its request will be ignored.
  mutating func stopWaiting(_ owner: any Waiting) {
    if let id = owner.ticket.id { owners[id] = nil }
    owner.ticket.id = nil
  }
}

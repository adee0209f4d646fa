// SPDX-License-Identifier: Apache-2.0

/// A session or a half-open handshake, which waits for one answer at most.
protocol Waiting: AnyObject {
  var ticket: PendingOperations.Ticket { get set }
}

/// Who owns a key id, or waits for an answer.
enum Owner {
  case session(Session)
  /// A handshake that has no session yet.
  case halfOpen(HalfOpenHandshake)

  fileprivate var waiting: any Waiting {
    switch self {
    case .session(let session): session
    case .halfOpen(let handshake): handshake
    }
  }
}

/// The requests of an endpoint, and who waits for their answers. What an answer leads to, its owner knows.
struct PendingOperations {
  /// What an owner waits for. Only this file changes it.
  struct Ticket {
    fileprivate var id: RequestID?

    /// Whether an answer is waited for.
    var isOpen: Bool { id != nil }
  }

  private var owners: [RequestID: Owner] = [:]
  private var requests = Queue<Request>()
  private var last: RequestID

  /// No request yet. Ids are those of a node.
  init(node: Int) { last = .first(ofNode: node) }

  /// How many answers are waited for.
  var count: Int { owners.count }

  /// Those who wait for an answer.
  var waiting: some Sequence<Owner> { owners.values }

  /// The next request that was not passed on yet, the oldest first.
  mutating func next() -> Request? { requests.pop() }

  /// Asks on behalf of an owner, who no longer waits for what it waited for before.
  ///
  /// - Returns: the request's id.
  @discardableResult
  mutating func ask(_ owner: Owner, _ make: (RequestID) -> Request) -> RequestID {
    let id = RequestID(value: last.value + 1)
    last = id
    stopWaiting(owner.waiting)
    owner.waiting.ticket.id = id
    owners[id] = owner
    requests.push(make(id))
    return id
  }

  /// Takes out who waits for an answer; nil if nobody does any more.
  mutating func answered(_ id: RequestID) -> Owner? {
    guard let owner = owners.removeValue(forKey: id) else { return nil }
    owner.waiting.ticket.id = nil
    return owner
  }

  /// Whatever is waited for, its answer will be late.
  mutating func stopWaiting(_ owner: any Waiting) {
    if let id = owner.ticket.id { owners[id] = nil }
    owner.ticket.id = nil
  }
}

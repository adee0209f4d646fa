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
    /// The value of the request's id; 0 if there is none. An optional would take twice the memory,
    /// and each session has a ticket.
    private var value: UInt64 = 0

    fileprivate var id: RequestID? {
      get { isOpen ? RequestID(value: value) : nil }
      set { value = newValue?.value ?? 0 }
    }

    /// True if the owner waits for an answer.
    var isOpen: Bool { value != 0 }
  }

  /// An owner that waits for an answer.
  private struct Awaited {
    let owner: Owner
    /// The interest in the result, if the request is public-key work.
    let interest: WorkInterest?
  }

  private var awaited: [RequestID: Awaited] = [:]
  private var requests = Queue<Request>()
  private var last: RequestID

  /// Creates an empty list. Its ids have the bits of a node.
  init(node: Int) { last = .first(ofNode: node) }

  /// The number of requests without an answer.
  var count: Int { awaited.count }

  /// Those who wait for an answer.
  var waiting: some Sequence<Owner> { awaited.values.lazy.map(\.owner) }

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
    let request = make(id)
    awaited[id] = Awaited(owner: owner, interest: request.interest)
    requests.push(request)
    return id
  }

  /// Removes and returns the owner that waits for an answer; nil if none does.
  mutating func answered(_ id: RequestID) -> Owner? {
    guard let owner = awaited.removeValue(forKey: id)?.owner else { return nil }
    owner.waiting.ticket.id = nil
    return owner
  }

  /// Makes the owner stop waiting, so that the answer to its request will be ignored. Public-key
  /// work that has not ended is not continued.
  mutating func stopWaiting(_ owner: any Waiting) {
    if let id = owner.ticket.id { awaited.removeValue(forKey: id)?.interest?.end() }
    owner.ticket.id = nil
  }
}

extension Request {
  /// The interest in the result, if the request is public-key work.
  fileprivate var interest: WorkInterest? {
    if case .work(let work) = self { work.interest } else { nil }
  }
}

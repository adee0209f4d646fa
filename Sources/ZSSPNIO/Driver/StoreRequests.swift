// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Requests to the store that are not answered yet.
///
/// Requests about one peer must take effect in the order in which they were made (section 9): the
/// next one runs when its predecessor is answered. A look-up by fingerprint concerns no peer and
/// runs at once.
///
/// | a request | entered by | left by |
/// |---|---|---|
/// | waits | ``add(_:_:deadline:)``, if one about its peer runs | ``finish(_:)`` of it: runs |
/// | | | ``expire(at:)`` of it: runs; its own deadline: never runs |
/// | runs | ``add(_:_:deadline:)``, or from waiting | ``finish(_:)``, or its deadline |
/// | is overdue | its deadline, while it runs | ``finish(_:)`` |
///
/// An overdue request may still take effect, beside later ones about its peer, like one of another
/// endpoint that shares the store. Nothing waits for it, but it counts against the limit, so that a
/// store that hangs does not receive more and more requests.
struct StoreRequests {
  /// A request to make now.
  struct Run {
    let id: RequestID
    let request: StoreRequest
  }

  /// The consequences of deadlines.
  struct Expiry {
    /// Requests that count as failed.
    var failed: [RequestID] = []
    /// Tasks whose requests are overdue.
    var overdue: [Task<Void, Never>] = []
    /// Requests to make now.
    var runs: [Run] = []
  }

  private struct Entry {
    let request: StoreRequest
    var isRunning: Bool
    var task: Task<Void, Never>?
  }

  /// Requests that wait or run.
  private var entries: [RequestID: Entry] = [:]
  /// Requests that run and are overdue.
  private var overdue: Set<RequestID> = []
  /// Waiting requests, by peer. A peer has a queue while one of its requests runs.
  private var queues: [PublicKey: CircularBuffer<RequestID>] = [:]
  /// Deadlines in ascending order. Some belong to requests that are answered.
  private var deadlines = CircularBuffer<(deadline: Instant, id: RequestID)>()

  /// The number of requests that wait, run or are overdue.
  var count: Int { entries.count + overdue.count }

  /// The earliest deadline; nil if no request waits or runs.
  var nextDeadline: Instant? { deadlines.first?.deadline }

  // [DEC-14]
  /// Adds a request. Its deadline must not be earlier than that of the last one. Returns it if it
  /// runs at once.
  mutating func add(_ id: RequestID, _ request: StoreRequest, deadline: Instant) -> Run? {
    forgetAnswered()
    deadlines.append((deadline, id))
    let waits = request.peer.map { queues[$0] != nil } ?? false
    entries[id] = Entry(request: request, isRunning: !waits, task: nil)
    guard let peer = request.peer else { return Run(id: id, request: request) }
    if waits {
      queues[peer]?.append(id)
      return nil
    }
    queues[peer] = []
    return Run(id: id, request: request)
  }

  /// Sets the task that makes a running request.
  mutating func setTask(_ task: Task<Void, Never>, of id: RequestID) { entries[id]?.task = task }

  /// Records an answer of the store. Returns true if the answer is still
  /// awaited, and the request that runs next.
  mutating func finish(_ id: RequestID) -> (isAwaited: Bool, next: Run?) {
    if overdue.remove(id) != nil { return (false, nil) }
    guard let entry = entries.removeValue(forKey: id) else { return (false, nil) }
    forgetAnswered()
    return (true, entry.request.peer.flatMap { next(of: $0) })
  }

  // [DEC-15]
  /// Removes and returns the requests that are overdue at `now`.
  mutating func expire(at now: Instant) -> Expiry {
    var expiry = Expiry()
    var peers: [PublicKey] = []
    while let first = deadlines.first, first.deadline <= now || entries[first.id] == nil {
      deadlines.removeFirst()
      guard let entry = entries.removeValue(forKey: first.id) else { continue }
      expiry.failed.append(first.id)
      guard entry.isRunning else { continue }
      overdue.insert(first.id)
      if let task = entry.task { expiry.overdue.append(task) }
      if let peer = entry.request.peer { peers.append(peer) }
    }
    // Only after all overdue requests are removed: those that waited behind them must not run.
    expiry.runs = peers.compactMap { next(of: $0) }
    return expiry
  }

  /// Starts the next request about a peer, after its predecessor has ended.
  private mutating func next(of peer: PublicKey) -> Run? {
    while let id = queues[peer]?.popFirst() {
      guard let entry = entries[id] else { continue }
      entries[id]?.isRunning = true
      return Run(id: id, request: entry.request)
    }
    queues[peer] = nil
    return nil
  }

  private mutating func forgetAnswered() {
    while let first = deadlines.first, entries[first.id] == nil { deadlines.removeFirst() }
  }
}

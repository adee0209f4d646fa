// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Requests to the store that are not answered yet.
///
/// Requests about one peer must take effect in the order in which they were made (section 9): the
/// next one runs when the one before it is answered. A look-up by fingerprint is about no peer and
/// runs at once.
///
/// | a request | entered by | left by |
/// |---|---|---|
/// | waits | ``add(_:_:deadline:)``, if one about its peer runs | ``finish(_:)`` or ``expire(at:)`` of the one that runs, then it runs; its deadline, then it never does |
/// | runs | ``add(_:_:deadline:)``, or from waiting | ``finish(_:)``, or its deadline |
/// | is overdue | its deadline, while it runs | ``finish(_:)`` |
///
/// An overdue request may still take effect, beside later ones about its peer, as one of another
/// endpoint that shares the store may. Nothing waits for it; it keeps its place in the count, so
/// that a store that hangs is not given more and more to do.
struct StoreRequests {
  /// A request that is to be made of the store.
  struct Run {
    let id: RequestID
    let request: StoreRequest
  }

  /// What follows from deadlines.
  struct Expiry {
    /// Requests that count as failed.
    var failed: [RequestID] = []
    /// Tasks whose requests are overdue.
    var overdue: [Task<Void, Never>] = []
    /// Requests that run now.
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
  /// Those that wait, by peer. There is a queue for each peer of which a request runs.
  private var queues: [PublicKey: CircularBuffer<RequestID>] = [:]
  /// In the order of their deadlines, with some that are answered.
  private var deadlines = CircularBuffer<(deadline: Instant, id: RequestID)>()

  /// How many requests wait, run or are overdue.
  var count: Int { entries.count + overdue.count }

  /// The first deadline; nil without a request that waits or runs.
  var nextDeadline: Instant? { deadlines.first?.deadline }

  // [DEC-14]
  /// Adds a request, whose deadline is not before that of the last. Returns it if it runs at once.
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

  /// A request that runs is made by this task.
  mutating func setTask(_ task: Task<Void, Never>, of id: RequestID) { entries[id]?.task = task }

  /// The store has answered. Says whether the answer is still waited for, and what runs next.
  mutating func finish(_ id: RequestID) -> (isAwaited: Bool, next: Run?) {
    if overdue.remove(id) != nil { return (false, nil) }
    guard let entry = entries.removeValue(forKey: id) else { return (false, nil) }
    forgetAnswered()
    return (true, entry.request.peer.flatMap { next(of: $0) })
  }

  // [DEC-15]
  /// Takes out what should have been answered by `now`.
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
    // Only when all that are late have gone: those that waited behind them must not begin to run.
    expiry.runs = peers.compactMap { next(of: $0) }
    return expiry
  }

  /// The request about a peer that is next to run, now that none does.
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

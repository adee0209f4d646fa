// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOConcurrencyHelpers
import ZSSP

/// Messages on their way from tasks to the event loop.
///
/// A sending task puts its message here and continues. It waits only while the queue is full
/// because the socket takes no more. The event loop is woken once for all messages since it last
/// looked.
final class SendQueue: Sendable {
  /// A message in the form in which it was given.
  enum Payload: Sendable {
    case array([UInt8])
    case buffer(ByteBuffer)
    /// Writes messages of about `bytes` bytes in total when it is dequeued.
    case writer(bytes: Int, @Sendable (inout SendRun) throws(SendError) -> Void)

    var count: Int {
      switch self {
      case .array(let bytes): bytes.count
      case .buffer(let buffer): buffer.readableBytes
      case .writer(let bytes, _): bytes
      }
    }
  }

  /// A message and its session.
  struct Item: Sendable {
    let session: SessionID
    let payload: Payload

    /// The cost of the item against the limit: its bytes and an overhead, so that empty messages
    /// are limited too.
    var weight: Int { payload.count + 64 }
  }

  private struct Waiter {
    let id: UInt64
    let items: [Item]
    let continuation: CheckedContinuation<UDPError?, Never>
  }

  private struct State {
    var items = CircularBuffer<Item>()
    var weight = 0
    /// True if the event loop was woken and has not emptied the queue since.
    var isAwaited = false
    /// The error of all calls from now on; nil while the endpoint is open.
    var closingError: UDPError?
    var waiters: [Waiter] = []
    var lastWaiter: UInt64 = 0

    mutating func append(_ item: Item) {
      items.append(item)
      weight += item.weight
    }

    /// Sets ``isAwaited``, and returns true if it was not set before.
    mutating func needsWaking() -> Bool {
      defer { isAwaited = true }
      return !isAwaited
    }
  }

  private let state = NIOLockedValueBox(State())
  private let limit: Int
  private let wake: @Sendable () -> Void

  /// Makes an empty queue that suspends senders once it holds `limit` bytes. `wake` must lead to a
  /// call of ``take(weight:)``.
  init(limit: Int, wake: @escaping @Sendable () -> Void) {
    self.limit = max(1, limit)
    self.wake = wake
  }

  /// True if nothing waits to be sealed.
  var isEmpty: Bool { state.withLockedValue { $0.items.isEmpty && $0.waiters.isEmpty } }

  /// The size in bytes of what waits to be sealed, with an overhead for each message.
  var byteCount: Int { state.withLockedValue { $0.weight } }

  /// The number of senders that wait for room.
  var waiterCount: Int { state.withLockedValue { $0.waiters.count } }

  /// Returns true if a message for the session waits to be sealed.
  func holdsMessages(for session: SessionID) -> Bool {
    state.withLockedValue { state in
      state.items.contains { $0.session == session }
        || state.waiters.contains { $0.items.contains { $0.session == session } }
    }
  }

  /// Queues all messages and returns true, if there is room and no sender waits for it.
  func sendIfRoom(_ items: [Item]) -> Bool { state.withLockedValue { isAdmitted(items, in: &$0) } }

  /// Queues all messages or none, and waits for room if there is none.
  ///
  /// - Parameters:
  ///   - items: The messages, all for one session.
  ///   - ended: Returns the error to fail with if the session has ended. When it ends later,
  ///     ``sessionEnded(_:with:)`` must be called.
  /// - Returns: The error; nil if the messages are queued.
  func send(_ items: [Item], unless ended: () -> UDPError? = { nil }) async -> UDPError? {
    guard !Task.isCancelled else { return .cancelled }
    let (id, isQueued): (UInt64, Bool) = state.withLockedValue { state in
      state.lastWaiter += 1
      return (state.lastWaiter, isAdmitted(items, in: &state))
    }
    if isQueued { return nil }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let (waits, error): (Bool, UDPError?) = state.withLockedValue { state in
          if let error = state.closingError { return (false, error) }
          if Task.isCancelled { return (false, .cancelled) }
          if isAdmitted(items, in: &state) { return (false, nil) }
          if let error = ended() { return (false, error) }
          state.waiters.append(Waiter(id: id, items: items, continuation: continuation))
          return (true, nil)
        }
        if !waits { continuation.resume(returning: error) }
      }
    } onCancel: {
      cancel(id)
    }
  }

  /// Queues the items if there is room and no sender waits. Waking an event loop under the lock is
  /// safe: it only queues.
  private func isAdmitted(_ items: [Item], in state: inout State) -> Bool {
    guard state.closingError == nil, state.waiters.isEmpty, state.weight < limit else { return false }
    for item in items { state.append(item) }
    if !items.isEmpty, state.needsWaking() { wake() }
    return true
  }

  /// Removes and returns messages of about `weight` bytes, at least one if there is one, and admits
  /// waiting senders. After an empty result the queue wakes the event loop for the next message.
  func take(weight: Int) -> [Item] {
    var admitted: [Waiter] = []
    let taken = state.withLockedValue { state in
      var taken: [Item] = []
      var sum = 0
      var isEmptying = false
      while sum < weight, let item = state.items.popFirst() {
        sum += item.weight
        taken.append(item)
      }
      state.weight -= sum
      // Waiting senders are admitted together, once there is room for many: waking them costs as
      // much as sending.
      while state.weight < limit, isEmptying || state.weight <= limit / 2, !state.waiters.isEmpty {
        isEmptying = true
        let waiter = state.waiters.removeFirst()
        for item in waiter.items { state.append(item) }
        admitted.append(waiter)
      }
      if taken.isEmpty, state.items.isEmpty { state.isAwaited = false }
      return taken
    }
    for waiter in admitted { waiter.continuation.resume(returning: nil) }
    return taken
  }

  /// Fails the senders that wait to send on an ended session. Messages that are queued for it are
  /// dropped when they are dequeued. Must be called when senders can already see the end.
  func sessionEnded(_ session: SessionID, with error: UDPError) {
    let ended: [Waiter] = state.withLockedValue { state in
      guard !state.waiters.isEmpty else { return [] }
      let ended = state.waiters.filter { $0.items.first?.session == session }
      if !ended.isEmpty { state.waiters.removeAll { $0.items.first?.session == session } }
      return ended
    }
    for waiter in ended { waiter.continuation.resume(returning: error) }
  }

  /// Drops everything. From now on sending fails with `error`. Returns the number of dropped
  /// messages and writers whose senders were not told.
  func finish(_ error: UDPError) -> Int {
    let (waiters, dropped) = state.withLockedValue { state in
      let finished = (state.waiters, state.items.count)
      state.closingError = error
      state.items.removeAll()
      state.weight = 0
      state.waiters = []
      return finished
    }
    for waiter in waiters { waiter.continuation.resume(returning: error) }
    return dropped
  }

  private func cancel(_ id: UInt64) {
    let waiter = state.withLockedValue { state in
      state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
    }
    waiter?.continuation.resume(returning: .cancelled)
  }
}

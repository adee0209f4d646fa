// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOConcurrencyHelpers

/// A bounded queue from the event loop to tasks that wait for its elements.
///
/// Waiting tasks receive elements in order. It is meant for one consumer; several share the
/// elements. The limits alone decide what is dropped, and all drops are counted.
final class BoundedAsyncQueue<Element: Sendable>: Sendable {
  /// The element to drop when the queue is full.
  enum Policy: Sendable {
    /// The oldest element: the newest matters most.
    case dropOldest
    /// The new element: the oldest came first.
    case refuseNewest
  }

  private struct Waiter {
    let id: UInt64
    let continuation: CheckedContinuation<Element?, Never>
  }

  private struct State {
    var elements = CircularBuffer<Element>()
    var weight = 0
    var dropped: UInt64 = 0
    var isFinished = false
    var waiters: [Waiter] = []
    var lastWaiter: UInt64 = 0
  }

  private let state = NIOLockedValueBox(State())
  private let policy: Policy
  private let countLimit: Int
  private let weightLimit: Int
  private let weigh: @Sendable (Element) -> Int

  /// Makes an empty mailbox. One element always has room, whatever its weight.
  ///
  /// - Parameters:
  ///   - policy: What is dropped when the mailbox is full.
  ///   - countLimit: The maximum number of elements, at least 1.
  ///   - weightLimit: The maximum of their total weight.
  ///   - weigh: Returns the weight of an element.
  init(
    _ policy: Policy, countLimit: Int, weightLimit: Int = .max,
    weigh: @escaping @Sendable (Element) -> Int = { _ in 0 }
  ) {
    self.policy = policy
    self.countLimit = max(1, countLimit)
    self.weightLimit = weightLimit
    self.weigh = weigh
  }

  /// True after ``finish()``: no more elements are accepted.
  var isFinished: Bool { state.withLockedValue { $0.isFinished } }

  /// The number of elements that wait.
  var count: Int { state.withLockedValue { $0.elements.count } }

  /// The number of elements dropped since the start.
  var dropped: UInt64 { state.withLockedValue { $0.dropped } }

  /// Appends elements, and returns how many elements were dropped, of these or of earlier ones. A
  /// finished queue accepts none and counts none.
  @discardableResult
  func append(contentsOf elements: some Collection<Element>) -> Int {
    var served: [(Waiter, Element)] = []
    let dropped = state.withLockedValue { state in
      guard !state.isFinished else { return 0 }
      var dropped = 0
      for element in elements {
        if state.waiters.isEmpty {
          dropped += enqueue(element, in: &state)
        } else {
          served.append((state.waiters.removeFirst(), element))
        }
      }
      state.dropped += UInt64(dropped)
      return dropped
    }
    for (waiter, element) in served { waiter.continuation.resume(returning: element) }
    return dropped
  }

  /// Appends one element, and returns how many were dropped.
  @discardableResult
  func append(_ element: Element) -> Int { append(contentsOf: CollectionOfOne(element)) }

  private func enqueue(_ element: Element, in state: inout State) -> Int {
    let weight = weigh(element)
    func isFull() -> Bool {
      state.elements.count >= countLimit || (state.weight + weight > weightLimit && !state.elements.isEmpty)
    }
    var dropped = 0
    while isFull() {
      dropped += 1
      if policy == .refuseNewest { return dropped }
      state.weight -= weigh(state.elements.removeFirst())
    }
    state.elements.append(element)
    state.weight += weight
    return dropped
  }

  /// Removes and returns all elements.
  func takeAll() -> [Element] {
    state.withLockedValue { state in
      defer {
        state.elements = []
        state.weight = 0
      }
      return Array(state.elements)
    }
  }

  /// Removes the elements that are no longer wanted, and returns their number. They do not count as
  /// dropped.
  @discardableResult
  func removeAll(where isUnwanted: (Element) -> Bool) -> Int {
    state.withLockedValue { state in
      let count = state.elements.count
      state.elements = CircularBuffer(state.elements.filter { !isUnwanted($0) })
      state.weight = state.elements.reduce(0) { $0 + weigh($1) }
      return count - state.elements.count
    }
  }

  /// Ends the queue: no more elements are taken. Those that wait can still be read.
  func finish() {
    let waiters = state.withLockedValue { state in
      state.isFinished = true
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.continuation.resume(returning: nil) }
  }

  /// Returns the next element; nil when the mailbox is finished and empty, or the task is
  /// cancelled.
  func next(isolation: isolated (any Actor)? = #isolation) async -> Element? {
    guard !Task.isCancelled else { return nil }
    let (id, element) = state.withLockedValue { state in
      state.lastWaiter += 1
      return (state.lastWaiter, take(&state))
    }
    if let element { return element }
    return await withTaskCancellationHandler {
      await withCheckedContinuation(isolation: isolation) { continuation in
        // Cancellation sets the flag first and then takes the lock: either the flag is seen here,
        // or the waiter is seen there.
        let (waits, element): (Bool, Element?) = state.withLockedValue { state in
          if let element = take(&state) { return (false, element) }
          if state.isFinished || Task.isCancelled { return (false, nil) }
          state.waiters.append(Waiter(id: id, continuation: continuation))
          return (true, nil)
        }
        if !waits { continuation.resume(returning: element) }
      }
    } onCancel: {
      cancel(id)
    }
  }

  private func take(_ state: inout State) -> Element? {
    guard let element = state.elements.popFirst() else { return nil }
    state.weight -= weigh(element)
    return element
  }

  private func cancel(_ id: UInt64) {
    let waiter = state.withLockedValue { state in
      state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
    }
    waiter?.continuation.resume(returning: nil)
  }
}

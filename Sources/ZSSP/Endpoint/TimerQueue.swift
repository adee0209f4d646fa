// SPDX-License-Identifier: Apache-2.0

/// An object with a deadline, in at most one ``TimerQueue``.
class TimerEntry {
  fileprivate(set) var deadline = Instant.distantFuture
  // Four bytes, because each session has them.
  private var index: Int32 = -1

  /// The index in the queue; -1 outside of it.
  fileprivate var position: Int {
    get { Int(index) }
    set { index = Int32(newValue) }
  }
}

/// Deadlines in order, in a binary heap whose entries know their indices. So a deadline moves in
/// O(log n), and the next one is always exact.
struct TimerQueue {
  private var heap: [TimerEntry] = []

  /// The number of deadlines.
  var count: Int { heap.count }
  /// The earliest deadline.
  var next: Instant? { heap.first?.deadline }

  /// Sets the deadline of `timed`; the distant future removes it.
  mutating func set(_ timed: TimerEntry, to deadline: Instant) {
    guard deadline < .distantFuture else { return cancel(timed) }
    guard deadline != timed.deadline || timed.position < 0 else { return }
    timed.deadline = deadline
    if timed.position < 0 {
      timed.position = heap.count
      heap.append(timed)
    }
    siftUp(timed.position)
    siftDown(timed.position)
  }

  /// Removes `timed`.
  mutating func cancel(_ timed: TimerEntry) {
    let position = timed.position
    guard position >= 0 else { return }
    let last = heap.removeLast()
    if last !== timed {
      heap[position] = last
      last.position = position
      siftUp(position)
      siftDown(last.position)
    }
    timed.position = -1
    timed.deadline = .distantFuture
  }

  /// Removes and returns the entry with the earliest deadline, if it is not after `now`.
  mutating func popExpired(at now: Instant) -> TimerEntry? {
    guard let first = heap.first, first.deadline <= now else { return nil }
    cancel(first)
    return first
  }

  private mutating func siftUp(_ start: Int) {
    var index = start
    while index > 0 {
      let parent = (index - 1) / 2
      guard heap[index].deadline < heap[parent].deadline else { return }
      swap(index, parent)
      index = parent
    }
  }

  private mutating func siftDown(_ start: Int) {
    var index = start
    while true {
      var smallest = index
      for child in [2 * index + 1, 2 * index + 2]
      where child < heap.count && heap[child].deadline < heap[smallest].deadline {
        smallest = child
      }
      guard smallest != index else { return }
      swap(index, smallest)
      index = smallest
    }
  }

  private mutating func swap(_ one: Int, _ other: Int) {
    heap.swapAt(one, other)
    heap[one].position = one
    heap[other].position = other
  }
}

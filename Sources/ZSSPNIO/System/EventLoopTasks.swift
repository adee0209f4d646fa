// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import HeapModule
  import NIOCore

  /// The tasks of an event loop, immediate and scheduled.
  struct EventLoopTasks {
    typealias Task = @Sendable () -> Void

    /// The time of a scheduled task. Of two with the same deadline the older goes first.
    private struct Due: Comparable {
      let deadline: NIODeadline
      let id: UInt64

      static func < (left: Due, right: Due) -> Bool { (left.deadline, left.id) < (right.deadline, right.id) }
    }

    /// True if the thread sleeps, or is about to.
    var isWaiting = false
    private var immediate: [Task] = []
    private var scheduled: [UInt64: Task] = [:]
    /// The scheduled tasks in order, including cancelled ones that are not due yet.
    private var order = Heap<Due>()
    private var lastID: UInt64 = 0

    /// Adds an immediate task, and returns true if the thread must be woken for it.
    mutating func append(_ task: @escaping Task) -> Bool {
      immediate.append(task)
      return stopWaiting()
    }

    /// Adds a scheduled task. `needsWaking` is true if the thread would sleep past its deadline.
    mutating func schedule(at deadline: NIODeadline, _ task: @escaping Task) -> (id: UInt64, needsWaking: Bool) {
      lastID += 1
      let isFirst = order.min.map { deadline < $0.deadline } ?? true
      scheduled[lastID] = task
      order.insert(Due(deadline: deadline, id: lastID))
      return (lastID, isFirst && stopWaiting())
    }

    /// Removes a task, and returns it so that the caller releases it outside the lock.
    mutating func cancel(_ id: UInt64) -> Task? { scheduled.removeValue(forKey: id) }

    private mutating func stopWaiting() -> Bool {
      defer { isWaiting = false }
      return isWaiting
    }

    /// Returns how many nanoseconds the thread may sleep from `now`; −1 for no limit. Sets
    /// ``isWaiting`` unless a task is immediate.
    mutating func prepareToWait(at now: NIODeadline) -> Int64 {
      guard immediate.isEmpty else { return 0 }
      while let first = order.min, scheduled[first.id] == nil { order.removeMin() }
      isWaiting = true
      guard let first = order.min else { return -1 }
      return max(0, (first.deadline - now).nanoseconds)
    }

    /// Removes and returns the tasks that are due.
    mutating func takeDue(at now: NIODeadline) -> [Task] {
      var due: [Task] = []
      // A polling thread calls this often, and mostly without a task.
      if !immediate.isEmpty { swap(&due, &immediate) }
      while let first = order.min, first.deadline <= now {
        order.removeMin()
        if let task = scheduled.removeValue(forKey: first.id) { due.append(task) }
      }
      return due
    }
  }
#endif

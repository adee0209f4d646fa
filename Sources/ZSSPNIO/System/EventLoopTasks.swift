// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import HeapModule
  import NIOCore

  /// What an event loop has to do besides its sockets, now and later.
  struct EventLoopTasks {
    typealias Task = @Sendable () -> Void

    /// When a task is due. Of two at one moment the older goes first.
    private struct Due: Comparable {
      let deadline: NIODeadline
      let id: UInt64

      static func < (left: Due, right: Due) -> Bool { (left.deadline, left.id) < (right.deadline, right.id) }
    }

    /// Whether the thread waits, or is about to.
    var isWaiting = false
    private var immediate: [Task] = []
    private var scheduled: [UInt64: Task] = [:]
    /// The scheduled tasks in order, and cancelled ones whose time has not come.
    private var order = Heap<Due>()
    private var lastID: UInt64 = 0

    /// Adds a task for now. Says whether the thread must be woken for it.
    mutating func append(_ task: @escaping Task) -> Bool {
      immediate.append(task)
      return stopWaiting()
    }

    /// Adds a task for later. Says whether the thread must be woken, because it would have waited longer.
    mutating func schedule(at deadline: NIODeadline, _ task: @escaping Task) -> (id: UInt64, needsWaking: Bool) {
      lastID += 1
      let isFirst = order.min.map { deadline < $0.deadline } ?? true
      scheduled[lastID] = task
      order.insert(Due(deadline: deadline, id: lastID))
      return (lastID, isFirst && stopWaiting())
    }

    /// Takes a task out, for the caller to let go of.
    mutating func cancel(_ id: UInt64) -> Task? { scheduled.removeValue(forKey: id) }

    private mutating func stopWaiting() -> Bool {
      defer { isWaiting = false }
      return isWaiting
    }

    /// How many nanoseconds the thread may wait from `now`; −1 for as long as it takes. From now on it waits.
    mutating func prepareToWait(at now: NIODeadline) -> Int64 {
      guard immediate.isEmpty else { return 0 }
      while let first = order.min, scheduled[first.id] == nil { order.removeMin() }
      isWaiting = true
      guard let first = order.min else { return -1 }
      return max(0, (first.deadline - now).nanoseconds)
    }

    /// Takes out what is due.
    mutating func takeDue(at now: NIODeadline) -> [Task] {
      var due: [Task] = []
      // Who polls asks all the time, and mostly for nothing.
      if !immediate.isEmpty { swap(&due, &immediate) }
      while let first = order.min, first.deadline <= now {
        order.removeMin()
        if let task = scheduled.removeValue(forKey: first.id) { due.append(task) }
      }
      return due
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import Dispatch
  import NIOCore
  import NIOConcurrencyHelpers
  import NIOPosix
  import Synchronization

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  /// A thread that waits for its sockets, timers and tasks with epoll.
  final class EpollEventLoop: EventLoop {
    /// The maximum number of sockets reported in one wait.
    private static let readinessAtOnce = 64

    /// Safe to use from any thread, and never freed.
    nonisolated(unsafe) private let poller: OpaquePointer
    private let tasks = NIOLockedValueBox(EventLoopTasks())
    private let watched = NIOLockedValueBox(WatchedSockets())
    /// The thread of the loop; before it runs 0, which no thread has.
    private let thread = Atomic<pthread_t>(0)
    /// ``EpollEventLoopGroup/busyPolling`` in nanoseconds.
    let busyPolling = Atomic<Int64>(0)

    /// Starts the thread. Traps without memory or descriptors for it, because the process could not
    /// continue.
    init() {
      guard let poller = czssp_poller_create() else { fatalError("no descriptors for an event loop: errno \(errno)") }
      self.poller = poller
      let pool = NIOThreadPool(numberOfThreads: 1)
      pool.start()
      // The thread is never returned to the pool.
      pool.submit { _ in self.run() }
    }

    // MARK: The thread

    private func run() {
      thread.store(pthread_self(), ordering: .relaxed)
      // Systems without this feature work as before.
      czssp_prompt_thread("zssp-loop")
      var ready = [czssp_readiness](repeating: czssp_readiness(), count: Self.readinessAtOnce)
      var vigil = BusyPollWindow()
      while true {
        let polls = vigil.lasts(at: .now())
        let timeout = polls ? 0 : tasks.withLockedValue { $0.prepareToWait(at: .now()) }
        let count = czssp_poller_wait(poller, &ready, CInt(ready.count), timeout)
        if count > 0 {
          vigil.begin(at: .now(), for: busyPolling.load(ordering: .relaxed))
        } else if polls {
          // Lets other runnable threads go first.
          sched_yield()
        }
        tasks.withLockedValue { $0.isWaiting = false }
        for readiness in ready.prefix(max(0, Int(count))) {
          // A descriptor that is no longer watched has no handler.
          if let handler = watched.withLockedValue({ $0[readiness.tag] }) { handler.value(readiness) }
        }
        for task in tasks.withLockedValue({ $0.takeDue(at: .now()) }) { task() }
      }
    }

    private func wake() { czssp_poller_wake(poller) }

    // MARK: Sockets

    /// A registration of a descriptor.
    struct Watch {
      /// The owner of the descriptor, which keeps it open; nil if the caller does.
      fileprivate let socket: SystemSocket?
      fileprivate let descriptor: CInt
      fileprivate let tag: UInt64
    }

    /// Calls `handler` on this event loop when the socket is readable, and on request when it is
    /// writable. Must be called on this event loop.
    ///
    /// - Throws: `IOError` if epoll refuses the socket.
    func watch(_ socket: SystemSocket, handler: @escaping (czssp_readiness) -> Void) throws -> Watch {
      try watch(socket, descriptor: socket.descriptor, handler: handler)
    }

    /// Watches a descriptor, which the caller keeps open until ``end(_:)``.
    func watch(descriptor: CInt, _ handler: @escaping (czssp_readiness) -> Void) throws -> Watch {
      try watch(nil, descriptor: descriptor, handler: handler)
    }

    private func watch(
      _ socket: SystemSocket?, descriptor: CInt, handler: @escaping (czssp_readiness) -> Void
    ) throws -> Watch {
      let tag = watched.withLockedValue { $0.add(NIOLoopBound(handler, eventLoop: self)) }
      let watch = Watch(socket: socket, descriptor: descriptor, tag: tag)
      let error = czssp_poller_add(poller, descriptor, tag)
      guard error == 0 else {
        _ = watched.withLockedValue { $0.remove(tag) }
        throw IOError(errnoCode: -error, reason: "epoll_ctl")
      }
      return watch
    }

    /// Sets whether the handler is called for reading and for writing.
    func change(_ watch: Watch, reading: Bool = true, writing: Bool = false) {
      czssp_poller_change(poller, watch.descriptor, watch.tag, reading, writing)
    }

    /// Ends a registration, and releases its handler.
    func end(_ watch: Watch) {
      // As with tasks, the handler is released outside the lock.
      let handler = watched.withLockedValue { $0.remove(watch.tag) }
      withExtendedLifetime(handler) {}
      czssp_poller_remove(poller, watch.descriptor)
    }

    // MARK: EventLoop

    var inEventLoop: Bool { thread.load(ordering: .relaxed) == pthread_self() }

    func execute(_ task: @escaping @Sendable () -> Void) {
      if tasks.withLockedValue({ $0.append(task) }) { wake() }
    }

    func submit<Value>(_ task: @escaping @Sendable () throws -> Value) -> EventLoopFuture<Value> {
      let promise = makePromise(of: Value.self)
      execute { promise.assumeIsolated().completeWith(Result { try task() }) }
      return promise.futureResult
    }

    func scheduleTask<Value>(
      deadline: NIODeadline, _ task: @escaping @Sendable () throws -> Value
    ) -> Scheduled<Value> {
      let promise = makePromise(of: Value.self)
      let (id, needsWaking) = tasks.withLockedValue {
        $0.schedule(at: deadline) { promise.assumeIsolated().completeWith(Result { try task() }) }
      }
      if needsWaking { wake() }
      return Scheduled(promise: promise) { [tasks] in
        // The task is released outside the lock: it may hold the last reference to an object whose
        // deinit takes the lock.
        withExtendedLifetime(tasks.withLockedValue { $0.cancel(id) }) {}
      }
    }

    func scheduleTask<Value>(
      in delay: TimeAmount, _ task: @escaping @Sendable () throws -> Value
    ) -> Scheduled<Value> {
      scheduleTask(deadline: .now() + delay, task)
    }

    func next() -> any EventLoop { self }

    func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
      queue.async { callback(EventLoopError.unsupportedOperation) }
    }
  }

  /// The time after a socket event in which the thread polls instead of sleeping.
  struct BusyPollWindow {
    private var end = NIODeadline.uptimeNanoseconds(0)

    /// Starts the time anew after a socket event.
    mutating func begin(at now: NIODeadline, for nanoseconds: Int64) {
      if nanoseconds > 0 { end = now + .nanoseconds(nanoseconds) }
    }

    func lasts(at now: NIODeadline) -> Bool { now < end }
  }

  /// The handlers by tag. A tag is used once, so that an event of a closed socket finds no handler.
  private struct WatchedSockets {
    typealias Handler = NIOLoopBound<(czssp_readiness) -> Void>

    private var handlers: [UInt64: Handler] = [:]
    private var lastTag: UInt64 = 0

    subscript(tag: UInt64) -> Handler? { handlers[tag] }

    mutating func add(_ handler: Handler) -> UInt64 {
      lastTag += 1
      handlers[lastTag] = handler
      return lastTag
    }

    @discardableResult
    mutating func remove(_ tag: UInt64) -> Handler? { handlers.removeValue(forKey: tag) }
  }
#endif

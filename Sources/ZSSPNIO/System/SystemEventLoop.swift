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

  /// One thread that waits for its sockets, its timers and its tasks (epoll).
  final class SystemEventLoop: EventLoop {
    /// What can be heard of sockets in one go.
    private static let readinessAtOnce = 64

    /// For any thread, and never freed.
    nonisolated(unsafe) private let poller: OpaquePointer
    private let tasks = NIOLockedValueBox(EventLoopTasks())
    private let watched = NIOLockedValueBox(WatchedSockets())
    /// Nobody is in the event loop before it runs.
    private let thread = Atomic<pthread_t>(0)
    /// See ``SystemEventLoopGroup/busyPolling``, in nanoseconds.
    let busyPolling = Atomic<Int64>(0)

    /// Starts the thread. Without memory and descriptors for it there is nothing that the process could do.
    init() {
      guard let poller = czssp_poller_create() else { fatalError("no descriptors for an event loop: errno \(errno)") }
      self.poller = poller
      let pool = NIOThreadPool(numberOfThreads: 1)
      pool.start()
      // The thread is never given back.
      pool.submit { _ in self.run() }
    }

    // MARK: The thread

    private func run() {
      thread.store(pthread_self(), ordering: .relaxed)
      // A system that does not have this is as good as it was.
      czssp_prompt_thread("zssp-loop")
      var ready = [czssp_readiness](repeating: czssp_readiness(), count: Self.readinessAtOnce)
      var vigil = Vigil()
      while true {
        let polls = vigil.lasts(at: .now())
        let timeout = polls ? 0 : tasks.withLockedValue { $0.prepareToWait(at: .now()) }
        let count = czssp_poller_wait(poller, &ready, CInt(ready.count), timeout)
        if count > 0 {
          vigil.begin(at: .now(), for: busyPolling.load(ordering: .relaxed))
        } else if polls {
          // Whoever else has something to do here goes first.
          sched_yield()
        }
        tasks.withLockedValue { $0.isWaiting = false }
        for readiness in ready.prefix(max(0, Int(count))) {
          // One that was closed since has gone.
          if let handler = watched.withLockedValue({ $0[readiness.tag] }) { handler.value(readiness) }
        }
        for task in tasks.withLockedValue({ $0.takeDue(at: .now()) }) { task() }
      }
    }

    private func wake() { czssp_poller_wake(poller) }

    // MARK: Sockets

    /// A descriptor that is watched.
    struct Watch {
      /// Keeps the descriptor open; nil if somebody else sees to that.
      fileprivate let socket: SystemSocket?
      fileprivate let descriptor: CInt
      fileprivate let tag: UInt64
    }

    /// Calls `handler` on this event loop when the socket can be read, and on demand when it can be written to. To be called
    /// on this event loop.
    func watch(_ socket: SystemSocket, _ handler: @escaping (czssp_readiness) -> Void) throws -> Watch {
      try watch(socket, socket.descriptor, handler)
    }

    /// The same for a descriptor that stays open until it is not watched any more.
    func watch(descriptor: CInt, _ handler: @escaping (czssp_readiness) -> Void) throws -> Watch {
      try watch(nil, descriptor, handler)
    }

    private func watch(
      _ socket: SystemSocket?, _ descriptor: CInt, _ handler: @escaping (czssp_readiness) -> Void
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

    /// Says whether to tell when the socket can be read, and when it can be written to.
    func change(_ watch: Watch, reading: Bool = true, writing: Bool = false) {
      czssp_poller_change(poller, watch.descriptor, watch.tag, reading, writing)
    }

    /// Does not watch the socket any more.
    func end(_ watch: Watch) {
      // As with tasks, what the handler holds is let go of when the lock is free.
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
        // What the task holds is let go of when the lock is free: it may be the last reference to something that asks for it.
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

  /// The time after news of a socket in which the thread looks for more, and does not sleep.
  struct Vigil {
    private var end = NIODeadline.uptimeNanoseconds(0)

    /// There was news.
    mutating func begin(at now: NIODeadline, for nanoseconds: Int64) {
      if nanoseconds > 0 { end = now + .nanoseconds(nanoseconds) }
    }

    func lasts(at now: NIODeadline) -> Bool { now < end }
  }

  /// Who hears of which socket. A tag is used once, so that news of a closed socket finds nobody.
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

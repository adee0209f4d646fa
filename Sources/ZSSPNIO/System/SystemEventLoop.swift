// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import Dispatch
  import Glibc
  import NIOCore
  import NIOConcurrencyHelpers
  import NIOPosix
  import Synchronization

  /// One thread that waits for its sockets, its timers and its tasks (epoll).
  final class SystemEventLoop: EventLoop {
    /// What can be heard of sockets in one go.
    private static let readinessAtOnce = 64

    /// For any thread, and never freed.
    nonisolated(unsafe) private let poller: OpaquePointer
    private let tasks = NIOLockedValueBox(EventLoopTasks())
    private let sockets = NIOLockedValueBox(WatchedSockets())
    /// Nobody is in the event loop before it runs.
    private let thread = Atomic<pthread_t>(0)

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
      var ready = [czssp_readiness](repeating: czssp_readiness(), count: Self.readinessAtOnce)
      while true {
        let timeout = tasks.withLockedValue { $0.prepareToWait(at: .now()) }
        let count = czssp_poller_wait(poller, &ready, CInt(ready.count), timeout)
        tasks.withLockedValue { $0.isWaiting = false }
        for readiness in ready.prefix(max(0, Int(count))) { handle(readiness) }
        for task in tasks.withLockedValue({ $0.takeDue(at: .now()) }) { task() }
      }
    }

    private func handle(_ readiness: czssp_readiness) {
      // A socket that was closed since has gone.
      guard let socket = sockets.withLockedValue({ $0[readiness.tag] })?.value else { return }
      if readiness.can_write { socket.becameWritable() }
      if readiness.can_read { socket.becameReadable() }
    }

    private func wake() { czssp_poller_wake(poller) }

    // MARK: Sockets

    /// Watches a socket until it is removed. Returns its tag; nil if the system does not want to.
    func add(_ socket: SystemPort) -> UInt64? {
      let tag = sockets.withLockedValue { $0.add(NIOLoopBound(socket, eventLoop: self)) }
      guard czssp_poller_add(poller, socket.descriptor, tag) == 0 else {
        sockets.withLockedValue { $0.remove(tag) }
        return nil
      }
      return tag
    }

    /// Says whether to tell the socket when it can be written to.
    func watch(_ socket: SystemPort, _ tag: UInt64, forWriting: Bool) {
      czssp_poller_watch_writing(poller, socket.descriptor, tag, forWriting)
    }

    /// Does not watch the socket any more.
    func remove(_ socket: SystemPort, _ tag: UInt64) {
      sockets.withLockedValue { $0.remove(tag) }
      czssp_poller_remove(poller, socket.descriptor)
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
      return Scheduled(promise: promise) { [tasks] in tasks.withLockedValue { $0.cancel(id) } }
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

  /// The sockets of an event loop by their tags. A tag is used once, so that news of a closed socket finds nobody.
  private struct WatchedSockets {
    private var sockets: [UInt64: NIOLoopBound<SystemPort>] = [:]
    private var lastTag: UInt64 = 0

    subscript(tag: UInt64) -> NIOLoopBound<SystemPort>? { sockets[tag] }

    mutating func add(_ socket: NIOLoopBound<SystemPort>) -> UInt64 {
      lastTag += 1
      sockets[lastTag] = socket
      return lastTag
    }

    mutating func remove(_ tag: UInt64) { sockets[tag] = nil }
  }
#endif

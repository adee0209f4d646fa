// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  public import Dispatch
  public import NIOCore
  import NIOConcurrencyHelpers

  /// Event loops whose UDP sockets go straight to Linux's system calls: vectored, with segmentation offload, and without a
  /// channel between them and the endpoint. Endpoints run on these unless they are told otherwise.
  ///
  /// They are for ``UDPEndpoint`` only: channels of NIO's need a `MultiThreadedEventLoopGroup`.
  public final class SystemEventLoopGroup: EventLoopGroup {
    /// One event loop for each core, started when they are first used. They live as long as the process.
    public static let singleton = SystemEventLoopGroup()

    private let eventLoops: [SystemEventLoop]
    private let turn = NIOLockedValueBox(0)

    private init() {
      eventLoops = (0..<System.coreCount).map { _ in SystemEventLoop() }
    }

    /// For how long, 0 to 1 s, each event loop goes on looking for datagrams after it had some, before it sleeps. 0 by default.
    ///
    /// A processor that sleeps takes 20 to 100 µs to be woken in a virtual machine, and one that looks takes none; it gives way to
    /// whatever else wants to run. That is for few datagrams whose delay matters: between them it uses up a processor.
    /// Datagrams of strangers count too, so that anybody who reaches the socket can have it look on all the time.
    public var busyPolling: TimeAmount {
      get { .nanoseconds(eventLoops[0].busyPolling.load(ordering: .relaxed)) }
      set {
        let nanoseconds = min(max(0, newValue.nanoseconds), 1_000_000_000)
        for eventLoop in eventLoops { eventLoop.busyPolling.store(nanoseconds, ordering: .relaxed) }
      }
    }

    /// How many event loops there are.
    public var count: Int { eventLoops.count }

    /// The event loops in turn.
    public func next() -> any EventLoop {
      let index = turn.withLockedValue { turn in
        defer { turn = (turn + 1) % eventLoops.count }
        return turn
      }
      return eventLoops[index]
    }

    /// All event loops.
    public func makeIterator() -> EventLoopIterator { EventLoopIterator(eventLoops) }

    /// Fails: these event loops are shared by the whole process.
    public func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
      queue.async { callback(EventLoopError.unsupportedOperation) }
    }
  }
#endif

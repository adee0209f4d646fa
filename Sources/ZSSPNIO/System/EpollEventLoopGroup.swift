// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  public import Dispatch
  public import NIOCore
  import NIOConcurrencyHelpers

  /// Event loops whose UDP sockets use Linux's system calls directly: vectored, with segmentation
  /// offload, and without a NIO channel. Endpoints use them by default.
  ///
  /// They are for ``UDPEndpoint`` only: NIO's channels need a `MultiThreadedEventLoopGroup`.
  public final class EpollEventLoopGroup: EventLoopGroup {
    /// One event loop per core, started at first use. They run as long as the process.
    public static let singleton = EpollEventLoopGroup()

    private let eventLoops: [EpollEventLoop]
    private let turn = NIOLockedValueBox(0)

    private init() {
      eventLoops = (0..<System.coreCount).map { _ in EpollEventLoop() }
    }

    /// The time for which each event loop polls for datagrams after it received some, before it
    /// sleeps: 0 to 1 s. The default is 0. Values outside of the range are clamped.
    ///
    /// Waking a sleeping processor takes 20 to 100 µs in a virtual machine; polling avoids that,
    /// and yields to other threads. It is meant for few datagrams whose delay matters, and uses up
    /// a processor meanwhile. Datagrams of strangers count, too, so anyone who can reach the socket
    /// can keep the loop polling.
    public var busyPolling: TimeAmount {
      get { .nanoseconds(eventLoops[0].busyPolling.load(ordering: .relaxed)) }
      set {
        let nanoseconds = min(max(0, newValue.nanoseconds), 1_000_000_000)
        for eventLoop in eventLoops { eventLoop.busyPolling.store(nanoseconds, ordering: .relaxed) }
      }
    }

    /// The number of event loops.
    public var count: Int { eventLoops.count }

    /// Returns the event loops in turn.
    public func next() -> any EventLoop {
      let index = turn.withLockedValue { turn in
        defer { turn = (turn + 1) % eventLoops.count }
        return turn
      }
      return eventLoops[index]
    }

    /// Returns an iterator over all event loops.
    public func makeIterator() -> EventLoopIterator { EventLoopIterator(eventLoops) }

    /// Fails with `EventLoopError.unsupportedOperation`: the whole process shares these event
    /// loops.
    public func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
      queue.async { callback(EventLoopError.unsupportedOperation) }
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import ZSSP

#if os(Linux)
  import CZSSPSocket
#endif

/// Runs public-key work on its own threads, which start with the first item. Used on its event loop
/// only.
///
/// Strangers can cause work, so at most ``UDPOptions/publicKeyQueue`` such items wait or run. The
/// protocol bounds other work: one item per session and handshake.
final class PublicKeyExecutor {
  /// Items for strangers that wait or run.
  private(set) var strangersWork = 0
  /// All items that wait or run.
  private(set) var inFlight = 0
  /// Items for strangers that were refused.
  private(set) var refused: UInt64 = 0
  /// Processor time of work that Hellos led to.
  private(set) var timeOnHellos = Duration.zero

  private let threads: Int
  private let strangersLimit: Int
  private let eventLoop: any EventLoop
  private let completed: @Sendable (PublicKeyResult, Duration) -> Void
  private var pool: NIOThreadPool?

  /// - Parameter completed: Called on `eventLoop` with each result and the processor time that it
  ///   took.
  init(
    _ options: UDPOptions, on eventLoop: any EventLoop,
    completed: @escaping @Sendable (PublicKeyResult, Duration) -> Void
  ) {
    threads = max(1, options.publicKeyThreads)
    strangersLimit = options.publicKeyQueue
    self.eventLoop = eventLoop
    self.completed = completed
  }

  /// Runs an item.
  ///
  /// - Returns: False, without running the item, if strangers have caused too much work already.
  func run(_ work: PublicKeyWork) -> Bool {
    let kind = work.kind
    if kind.isCausedByStrangers {
      guard strangersWork < strangersLimit else {
        refused += 1
        return false
      }
      strangersWork += 1
    }
    inFlight += 1
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    startedPool().submit { [eventLoop] state in
      // A pool shuts down only after its endpoint is closed.
      guard case .active = state else { return }
      Self.lowerPriority()
      let start = ThreadClock.now
      let result = work.run()
      let time = ThreadClock.now - start
      eventLoop.execute { bound.value.finish(result, of: kind, took: time) }
    }
    return true
  }

  private func finish(_ result: PublicKeyResult, of kind: PublicKeyWork.Kind, took time: Duration) {
    inFlight -= 1
    if kind.isCausedByStrangers { strangersWork -= 1 }
    if kind.isCausedByStrangers || kind == .completionReceived { timeOnHellos += time }
    completed(result, time)
  }

  /// Gives the calling thread a lower priority than event loops: where processors are few,
  /// handshakes must not delay data.
  private static func lowerPriority() {
    #if os(Linux)
      czssp_nice_thread(10)
    #endif
  }

  private func startedPool() -> NIOThreadPool {
    if let pool { return pool }
    let pool = NIOThreadPool(numberOfThreads: threads)
    pool.start()
    self.pool = pool
    return pool
  }

  /// Makes later work run on a pool that is started already. ``shutDown()`` shuts it down.
  func use(_ pool: NIOThreadPool) { self.pool = pool }

  /// Stops the threads. Items that have not begun are dropped.
  func shutDown() { pool?.shutdownGracefully { _ in } }
}

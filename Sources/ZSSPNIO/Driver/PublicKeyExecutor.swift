// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import ZSSP

#if os(Linux)
  import CZSSPSocket
#endif

/// Runs public-key work on threads of its own, which start with the first item. Used on its event
/// loop only.
///
/// Strangers can cause work, so at most ``UDPOptions/publicKeyQueue`` items of theirs wait or run.
/// Other work is bounded by the protocol: one item for each session and handshake.
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

  /// - Parameter completed: called on `eventLoop` with each result and the processor time it took.
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
  /// - Returns: false if strangers have caused too much work already; the item is not run then.
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
      // A pool that shuts down belongs to an endpoint that is closed.
      guard case .active = state else { return }
      Self.lowerPriority()
      let start = ThreadClock.now
      let result = work.run()
      let time = ThreadClock.now - start
      eventLoop.execute { bound.value.finish(result, kind, took: time) }
    }
    return true
  }

  private func finish(_ result: PublicKeyResult, _ kind: PublicKeyWork.Kind, took time: Duration) {
    inFlight -= 1
    if kind.isCausedByStrangers { strangersWork -= 1 }
    if kind.isCausedByStrangers || kind == .completionReceived { timeOnHellos += time }
    completed(result, time)
  }

  /// Lets event loops run before the calling thread: where processors are few, handshakes must not
  /// hold up data.
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

  /// Runs later work on a pool that is started already, and shuts it down at the end.
  func use(_ pool: NIOThreadPool) { self.pool = pool }

  /// Ends the threads. Items that have not begun are dropped.
  func shutDown() { pool?.shutdownGracefully { _ in } }
}

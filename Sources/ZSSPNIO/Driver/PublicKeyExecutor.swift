// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import ZSSP

#if os(Linux)
  import CZSSPSocket
#endif

/// Runs public-key work on its own threads, which start with the first item. Used on its event loop
/// only.
///
/// ``WorkQueue`` decides which item is next. A thread takes several items at once if the provider
/// does their P-384 operations together, and takes further ones between operations, so no item
/// waits for others to come. Several threads share what waits, but each takes enough for one
/// operation. Strangers can cause work, so at most ``UDPOptions/publicKeyQueue`` such items wait or
/// run. The protocol bounds other work: one item per session and handshake.
final class PublicKeyExecutor {
  /// A result, and the processor time that it took.
  typealias Completed = (result: PublicKeyResult, time: Duration)

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
  private let provider: any CryptoProvider
  private let batches: (any AgreementBatches)?
  private let eventLoop: any EventLoop
  private let completed: @Sendable ([Completed]) -> Void
  private let waiting = NIOLockedValueBox(Waiting())
  private var pool: NIOThreadPool?
  private var hasReportedFailure = false

  /// The items that no thread has taken yet, and the number of threads that take them.
  private struct Waiting {
    var queue = WorkQueue()
    var activeThreads = 0
    var isShutDown = false
  }

  /// - Parameters:
  ///   - provider: The provider of the work.
  ///   - completed: Called on `eventLoop` with results.
  init(
    _ options: UDPOptions, provider: any CryptoProvider, on eventLoop: any EventLoop,
    completed: @escaping @Sendable ([Completed]) -> Void
  ) {
    threads = max(1, options.publicKeyThreads)
    strangersLimit = options.publicKeyQueue
    self.provider = provider
    batches = provider.batches
    self.eventLoop = eventLoop
    self.completed = completed
  }

  /// Runs an item.
  ///
  /// - Returns: False, without running the item, if strangers have caused too much work already.
  func run(_ work: PublicKeyWork) -> Bool {
    if work.kind.isCausedByStrangers {
      guard strangersWork < strangersLimit else {
        refused += 1
        return false
      }
      strangersWork += 1
    }
    inFlight += 1
    let needsThread = waiting.withLockedValue { waiting in
      waiting.queue.append(work)
      guard waiting.activeThreads < threads else { return false }
      waiting.activeThreads += 1
      return true
    }
    if needsThread { startThread() }
    return true
  }

  /// Makes a thread of the pool run items until none waits.
  private func startThread() {
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    startedPool().submit { [eventLoop, waiting, provider] state in
      // A pool shuts down only after its endpoint is closed.
      guard case .active = state else { return }
      Self.lowerPriority()
      var batch = PublicKeyBatch(provider)
      while Self.fill(&batch, from: waiting) {
        let done = batch.advance { ThreadClock.now }
        if !done.isEmpty { eventLoop.execute { bound.value.finish(done) } }
      }
    }
  }

  /// Moves waiting items to a batch.
  ///
  /// - Returns: False if there is nothing to do. Then the thread is not active any more.
  private static func fill(_ batch: inout PublicKeyBatch, from waiting: NIOLockedValueBox<Waiting>) -> Bool {
    waiting.withLockedValue { waiting in
      let isOver: Bool
      if waiting.isShutDown {
        isOver = true
      } else {
        let equalShare = (waiting.queue.count + waiting.activeThreads - 1) / waiting.activeThreads
        for _ in 0..<max(batch.lanes, equalShare) {
          guard let work = waiting.queue.next(where: { batch.admits($0) }) else { break }
          batch.add(work)
        }
        isOver = batch.isEmpty
      }
      if isOver { waiting.activeThreads -= 1 }
      return !isOver
    }
  }

  /// Returns the provider's name when its operations for several items have failed at valid keys for
  /// the first time; nil otherwise.
  func takeProviderFailure() -> String? {
    guard !hasReportedFailure, let batches, batches.failures > 0 else { return nil }
    hasReportedFailure = true
    return provider.name
  }

  private func finish(_ done: [PublicKeyBatch.Completed]) {
    for item in done {
      inFlight -= 1
      if item.kind.isCausedByStrangers { strangersWork -= 1 }
      if item.kind.isCausedByStrangers || item.kind == .completionReceived { timeOnHellos += item.time }
    }
    completed(done.map { ($0.result, $0.time) })
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

  /// Stops the threads. Items that have not ended are dropped, at their next operation.
  func shutDown() {
    waiting.withLockedValue { waiting in
      waiting.isShutDown = true
      waiting.queue.removeAll()
    }
    pool?.shutdownGracefully { _ in }
  }
}

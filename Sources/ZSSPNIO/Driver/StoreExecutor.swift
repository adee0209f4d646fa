// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Makes requests to the ratchet store, each on its own task, and answers each within
/// ``UDPOptions/storeTimeout``, whatever the store does. Used on its event loop only.
///
/// ``StoreRequests`` decides which request runs and which waits.
final class StoreExecutor {
  /// The answer to a request.
  typealias Answer = (id: RequestID, answer: StoreAnswer)

  /// Requests that were refused because too many were not answered yet.
  private(set) var refused: UInt64 = 0
  /// Requests that were not answered in time.
  private(set) var timedOut: UInt64 = 0
  /// The answered requests.
  private(set) var statistics = StoreStatistics()

  /// Requests without an answer yet.
  var inFlight: Int { isShutDown ? 0 : requests.count }

  private let store: any RatchetStore
  private let limit: Int
  private let timeout: Duration
  private let eventLoop: any EventLoop
  private let answered: @Sendable ([Answer]) -> Void
  private var requests = StoreRequests()
  private var timer: DeadlineTimer?
  private var isShutDown = false

  /// - Parameter answered: Called on `eventLoop` with the answers so far.
  init(
    _ store: any RatchetStore, options: UDPOptions, on eventLoop: any EventLoop,
    answered: @escaping @Sendable ([Answer]) -> Void
  ) {
    self.store = store
    limit = options.storeQueue
    timeout = max(.milliseconds(1), options.storeTimeout)
    self.eventLoop = eventLoop
    self.answered = answered
  }

  /// Makes a request once all earlier ones about the same peer are answered.
  ///
  /// - Returns: False, without making the request, if too many are unanswered.
  func execute(_ id: RequestID, _ request: StoreRequest) -> Bool {
    guard requests.count < limit else {
      refused += 1
      return false
    }
    if let run = requests.add(id, request, deadline: eventLoop.instant.advanced(by: timeout)) { start(run) }
    setTimer()
    return true
  }

  /// Stops answering. Requests that run continue.
  func shutDown() {
    isShutDown = true
    timer?.cancel()
    timer = nil
  }

  private func start(_ run: StoreRequests.Run) {
    let eventLoop = eventLoop
    let store = store
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    let start = eventLoop.instant
    let operation = StoreStatistics.Operation(run.request)
    let task = Task {
      let answer = await store.answer(run.request)
      eventLoop.execute {
        bound.value.record(operation, since: start, answer)
        bound.value.finish(run.id, with: answer)
      }
    }
    requests.setTask(task, of: run.id)
  }

  private func record(_ operation: StoreStatistics.Operation, since start: Instant, _ answer: StoreAnswer) {
    var hasFailed = false
    if case .failed = answer { hasFailed = true }
    statistics.record(operation, took: start.duration(to: eventLoop.instant), hasFailed: hasFailed)
  }

  private func finish(_ id: RequestID, with answer: StoreAnswer) {
    guard !isShutDown else { return }
    let (isAwaited, next) = requests.finish(id)
    guard isAwaited else { return }
    if let next { start(next) }
    answered([(id, answer)])
  }

  private func setTimer() {
    guard !isShutDown else { return }
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    let timer = timer ?? DeadlineTimer(on: eventLoop) { bound.value.expire() }
    self.timer = timer
    timer.set(to: requests.nextDeadline)
  }

  private func expire() {
    guard !isShutDown else { return }
    let expiry = requests.expire(at: eventLoop.instant)
    timedOut += UInt64(expiry.failed.count)
    // Stops a store that reacts to cancellation.
    for task in expiry.overdue { task.cancel() }
    for run in expiry.runs { start(run) }
    setTimer()
    answered(expiry.failed.map { ($0, .failed) })
  }
}

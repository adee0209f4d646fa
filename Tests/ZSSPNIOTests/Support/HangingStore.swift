// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A store in memory that leaves some requests unanswered until it is told to go on.
actor HangingStore: RatchetStore {
  private var memory = MemoryRatchetStore()
  private let hangs: @Sendable (StoreRequest, Int) -> Bool
  private var asked = 0
  private var waiting: [CheckedContinuation<Void, Never>] = []
  private(set) var cancelled = 0
  /// The answers of requests that hung, after they went on.
  private(set) var lateAnswers: [StoreAnswer] = []

  /// `hangs` is asked about each request and its number, from 0.
  init(_ hangs: @escaping @Sendable (StoreRequest, Int) -> Bool) { self.hangs = hangs }

  func answer(_ request: StoreRequest) async -> StoreAnswer {
    let number = asked
    if case .compareAndSwap = request { asked += 1 }
    guard hangs(request, number) else { return memory.answer(request) }
    await withTaskCancellationHandler {
      await withCheckedContinuation { waiting.append($0) }
    } onCancel: {
      Task { await self.noteCancellation() }
    }
    let answer = memory.answer(request)
    lateAnswers.append(answer)
    return answer
  }

  private func noteCancellation() { cancelled += 1 }

  var hanging: Int { waiting.count }

  func goOn() {
    for continuation in waiting { continuation.resume() }
    waiting = []
  }
}

// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Requests of the endpoint: decisions, the store, public-key work. None of it runs on the event
/// loop.
extension Driver {
  /// Executes a request, or answers it at once if a queue is full.
  func handle(_ request: Request) {
    switch request {
    case .accept(let id, let request): offer(id, request)
    case .store(let id, let request):
      if !storeExecutor.execute(id, request) { endpoint.answer(id, store: .failed, at: now) }
    case .work(let work):
      if !publicKeyExecutor.run(work) { endpoint.refuse(work.id) }
    }
  }

  private func offer(_ id: RequestID, _ request: AcceptRequest) {
    let isStopped = mailboxes.incoming.isFinished
    if !isStopped, mailboxes.incoming.append(IncomingOffer(shard: shard, id: id, request: request)) == 0 {
      return acceptances.offer(id, request)
    }
    counted.incomingRefused += 1
    let reason = isStopped ? "the endpoint is being closed" : "too many wait for a decision"
    environment.log?.refused(request, reason: reason, at: now)
    endpoint.answer(id, accept: .reject(silently: true), at: now)
  }

  /// Called by the executor with results.
  func workDone(_ completed: [PublicKeyExecutor.Completed]) {
    guard !isClosed else { return }
    loggingDrops(from: nil) {
      for (result, time) in completed { endpoint.complete(result, took: time, at: now) }
    }
    if let provider = publicKeyExecutor.takeProviderFailure() { environment.log?.operationsFailed(of: provider) }
    pump()
  }

  /// Called by the executor with the store's answers.
  func storeAnswered(_ answers: [StoreExecutor.Answer]) {
    guard !isClosed else { return }
    loggingDrops(from: nil) {
      for (id, answer) in answers { endpoint.answer(id, store: answer, at: now) }
    }
    pump()
  }
}

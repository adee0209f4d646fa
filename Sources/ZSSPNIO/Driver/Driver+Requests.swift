// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// What the endpoint asks for: decisions, the store, public-key work. None of it is done on the
/// event loop.
extension Driver {
  /// Sees to it that a request is answered.
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
    environment.log?.refused(request, reason, at: now)
    endpoint.answer(id, accept: .reject(silently: true), at: now)
  }

  /// The executor calls this with each result.
  func workDone(_ result: PublicKeyResult, took time: Duration) {
    guard !isClosed else { return }
    endpoint.complete(result, took: time, at: now)
    pump()
  }

  /// The executor calls this with what the store has answered.
  func storeAnswered(_ answers: [StoreExecutor.Answer]) {
    guard !isClosed else { return }
    for (id, answer) in answers { endpoint.answer(id, store: answer, at: now) }
    pump()
  }
}

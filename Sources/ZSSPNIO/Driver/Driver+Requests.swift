// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import ZSSP

#if os(Linux)
  import CZSSPSocket
#endif

/// A request to the store that waits for those about the same peer that came before.
struct PendingStoreRequest {
  let id: RequestID
  let request: StoreRequest
}

/// What the endpoint asks for: decisions, the store, public-key work. None of it is done on the event loop.
extension Driver {
  /// Sees to it that a request is answered.
  func handle(_ request: Request) {
    switch request {
    case .accept(let id, let request): offer(id, request)
    case .store(let id, let request): ask(id, request)
    case .work(let work): compute(work)
    }
  }

  private func offer(_ id: RequestID, _ request: AcceptRequest) {
    // It may be withdrawn while another shard is asked.
    acceptances[id] = .offered
    judgeRival(request.peer, id) { driver in
      guard case .offered? = driver.acceptances[id] else { return }
      let offer = IncomingOffer(shard: driver.shard, id: id, request: request)
      guard driver.mailboxes.incoming.append(offer) > 0 else { return }
      driver.acceptances[id] = nil
      driver.counters.incomingRefused += 1
      driver.endpoint.answer(id, accept: .reject(silently: true), at: driver.now)
    }
  }

  /// Requests about one peer must take effect in the order in which they were made (section 9): the next is asked when
  /// the last is answered. A look-up by fingerprint is about no peer.
  private func ask(_ id: RequestID, _ request: StoreRequest) {
    guard storeRequests < options.storeQueue else {
      counters.storeRequestsRefused += 1
      return endpoint.answer(id, store: .failed, at: now)
    }
    storeRequests += 1
    guard let peer = request.peer else { return run(id, request, about: nil) }
    if storeQueues[peer] == nil {
      storeQueues[peer] = []
      run(id, request, about: peer)
    } else {
      storeQueues[peer]?.append(PendingStoreRequest(id: id, request: request))
    }
  }

  private func run(_ id: RequestID, _ request: StoreRequest, about peer: PublicKey?) {
    let (bound, eventLoop, store) = (bound, eventLoop, store)
    Task {
      let answer = await store.answer(request)
      eventLoop.execute { bound.value.storeAnswered(id, answer, about: peer) }
    }
  }

  private func storeAnswered(_ id: RequestID, _ answer: StoreAnswer, about peer: PublicKey?) {
    storeRequests -= 1
    guard !isClosed else { return }
    if let peer {
      if let next = storeQueues[peer]?.popFirst() {
        run(next.id, next.request, about: peer)
      } else {
        storeQueues[peer] = nil
      }
    }
    endpoint.answer(id, store: answer, at: now)
    pump()
  }

  private func compute(_ work: PublicKeyWork) {
    guard publicKeyWork < options.publicKeyQueue || !work.kind.isCausedByStrangers else {
      counters.publicKeyWorkRefused += 1
      return endpoint.refuse(work.id)
    }
    publicKeyWork += 1
    let (bound, eventLoop) = (bound, eventLoop)
    startedPool().submit { state in
      // A pool that shuts down belongs to an endpoint that is closed.
      guard case .active = state else { return }
      Self.giveWay()
      let result = work.run()
      eventLoop.execute { bound.value.workDone(result) }
    }
  }

  /// Has the calling thread of the pool yield to event loops: where processors are few, handshakes must not hold up data.
  private static func giveWay() {
    #if os(Linux)
      czssp_nice_thread(10)
    #endif
  }

  private func workDone(_ result: PublicKeyResult) {
    publicKeyWork -= 1
    guard !isClosed else { return }
    endpoint.complete(result, at: now)
    pump()
  }

  /// The threads of this endpoint, which start with the first work.
  private func startedPool() -> NIOThreadPool {
    if let publicKeyPool { return publicKeyPool }
    let pool = NIOThreadPool(numberOfThreads: max(1, options.publicKeyThreads))
    pool.start()
    publicKeyPool = pool
    return pool
  }
}

extension PublicKeyWork.Kind {
  /// Whether someone who has proved nothing can cause the work, as often as they like.
  fileprivate var isCausedByStrangers: Bool {
    switch self {
    case .helloReceived, .response: true
    case .hello, .proofOfWork, .responseReceived, .completionReceived, .rekey, .rekeyReceived, .rekeyCompleted:
      false
    }
  }
}

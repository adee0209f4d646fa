// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Drives an endpoint: after each input, processes its events, requests and datagrams, and plans
/// its next wake-up.
extension Simulation {
  func wake(_ peer: SimulatedPeer) {
    peer.wake = .distantFuture
    guard peer.isUp else { return }
    let time = localTime(peer)
    if let deadline = peer.endpoint.nextDeadline, deadline <= time {
      trace.add(.wake, peer: peer.index, at: now)
      peer.endpoint.advance(to: time)
      if let next = peer.endpoint.nextDeadline, next <= time {
        fail(.stuck, details: "peer \(peer.index) has a deadline that is still due after advancing to it")
      }
    }
    settle(peer)
  }

  /// Empties the endpoint's queues. Every input ends with this.
  func settle(_ peer: SimulatedPeer) {
    writeTrace(of: peer)
    for event in peer.endpoint.takeEvents() { happened(event, at: peer) }
    checkDowngrade(of: peer)
    while let request = peer.endpoint.nextRequest() { take(request, of: peer) }
    writeTrace(of: peer)
    for (address, bytes) in peer.endpoint.takeDatagrams() { send(bytes, from: peer, to: address) }
    ledger.forgetHeaders()
    checkInvariants(of: peer)
    guard let deadline = peer.endpoint.nextDeadline else { return }
    let due = peer.clock.trueTime(of: deadline, notBefore: now)
    guard due < peer.wake else { return }
    peer.wake = due
    agenda.add(.wake(peer: peer.index), at: due)
  }

  private func take(_ request: Request, of peer: SimulatedPeer) {
    let faults = isCalm ? .none : plan.faults
    switch request {
    case .store(let id, let request):
      let isSlow = faultRandom.chance(faults.storeSlowness)
      let delay = faultRandom.duration(.zero...(isSlow ? .seconds(8) : .milliseconds(3)))
      var time = now.advanced(by: delay)
      // Requests about one peer take effect in the order in which they were made, even across
      // restarts.
      if let other = request.peer.flatMap(index(of:)) {
        time = max(time, peer.lastEffects[other])
        peer.lastEffects[other] = time
        if case .compareAndSwap = request { peer.lastSwapRequests[other] = now }
      }
      agenda.add(.store(peer: peer.index, incarnation: peer.incarnation, id, request), at: time)
    case .accept(let id, let request):
      decide(id, on: request, of: peer)
    case .work(let work):
      let isSlow = faultRandom.chance(faults.slowWork * temper.slowWork.factor)
      let isRefused = faultRandom.chance(faults.refusedWork)
      let isLost = faultRandom.chance(faults.lostAnswer)
      let delay = faultRandom.duration(.zero...(isSlow ? temper.slowWork.most : .milliseconds(4)))
      if isRefused {
        trace.add(.workRefused, peer: peer.index, text: "\(work.kind)", at: now)
        peer.endpoint.refuse(work.id)
        return settle(peer)
      }
      if isLost { return trace.add(.answerLost, peer: peer.index, text: "\(work.kind)", at: now) }
      agenda.add(.work(peer: peer.index, incarnation: peer.incarnation, work), at: now.advanced(by: delay))
    }
  }

  /// Executes a store request, even if its incarnation of the peer has crashed.
  func perform(_ request: StoreRequest, id: RequestID, of peer: SimulatedPeer, incarnation: Int) {
    guard incarnation >= peer.forgottenWrites else { return }
    let faults = isCalm ? .none : plan.faults
    let failsBefore = faultRandom.chance(faults.storeFailure)
    let failsAfter = faultRandom.chance(faults.storeFailure / 2)
    let isLost = faultRandom.chance(faults.lostAnswer)
    let isSlow = faultRandom.chance(faults.storeSlowness)
    let delay = faultRandom.duration(.zero...(isSlow ? .seconds(4) : .milliseconds(2)))
    // The content of the pair is checked when the request takes effect.
    if incarnation < peer.incarnation, case .compareAndSwap(let key, _, let new, _) = request,
      let other = index(of: key)
    {
      excuseOrphan(new, of: peer.index, with: other)
    }
    let (answer, isRegress) = takeEffect(request, of: peer, failsBefore: failsBefore, failsAfter: failsAfter)
    if isLost { return trace.add(.answerLost, peer: peer.index, at: now) }
    agenda.add(
      .storeAnswer(peer: peer.index, incarnation: incarnation, id, answer, isRegress: isRegress),
      at: now.advanced(by: delay))
  }

  /// Executes a store request synchronously.
  func storeAtOnce(_ request: StoreRequest, of peer: SimulatedPeer) -> StoreAnswer {
    let faults = isCalm ? .none : plan.faults
    let failsBefore = faultRandom.chance(faults.storeFailure)
    let failsAfter = faultRandom.chance(faults.storeFailure / 2)
    let (answer, isRegress) = takeEffect(request, of: peer, failsBefore: failsBefore, failsAfter: failsAfter)
    if isRegress, case .swapped = answer { peer.downgradesBefore = report.downgrades }
    trace.add(.storeAnswer, peer: peer.index, text: answer.name, at: now)
    return answer
  }

  /// Returns the store's answer, and true if a chain was shortened.
  private func takeEffect(
    _ request: StoreRequest, of peer: SimulatedPeer, failsBefore: Bool, failsAfter: Bool
  ) -> (StoreAnswer, isRegress: Bool) {
    var answer = StoreAnswer.failed
    var isRegress = false
    if !failsBefore {
      let before = peer.store
      answer = peer.store.apply(request)
      if let regress = peer.store.regress {
        // Only the first link of a new chain is a downgrade.
        isRegress = regress.to == 1
        checkRegress(regress, of: peer)
      }
      if case .swapped = answer {
        if hooks.forgets?() ?? false { peer.store = before }
        swapped(request, of: peer)
      }
    }
    if failsBefore || failsAfter {
      report.storeFailures += 1
      answer = .failed
      trace.add(.storeFailed, peer: peer.index, failsBefore ? 0 : 1, at: now)
    }
    trace.add(.store, peer: peer.index, text: request.name, at: now)
    return (answer, isRegress)
  }

  /// Called when the store has taken a swap.
  private func swapped(_ request: StoreRequest, of peer: SimulatedPeer) {
    guard let other = request.peer.flatMap(index(of:)) else { return }
    peer.lastSwaps[other] = now
    checkCommonState(of: peer, with: other)
  }

  /// Checks that an endpoint that waited for a shortened chain has reported the downgrade.
  private func checkDowngrade(of peer: SimulatedPeer) {
    guard let before = peer.downgradesBefore else { return }
    peer.downgradesBefore = nil
    if report.downgrades == before {
      fail(.chainWentBack, details: "a chain of peer \(peer.index) went back, and no downgrade was reported")
    }
  }

  /// Gives the store's answer to the endpoint.
  func storeAnswered(_ peer: SimulatedPeer, id: RequestID, answer: StoreAnswer, isRegress: Bool) {
    trace.add(.storeAnswer, peer: peer.index, text: answer.name, at: now)
    let waiting = peer.endpoint.holdings.requests
    let downgrades = report.downgrades
    peer.endpoint.answer(id, store: answer, at: localTime(peer))
    let wasAwaited = peer.endpoint.holdings.requests < waiting
    settle(peer)
    if isRegress, wasAwaited, case .swapped = answer, report.downgrades == downgrades {
      fail(.chainWentBack, details: "a chain of peer \(peer.index) went back, and no downgrade was reported")
    }
  }
}

extension StoreRequest {
  var name: String {
    switch self {
    case .lookUp(let first, let second): "lookUp \(first) \(second)"
    case .load: "load"
    case .revoke(let name, _): "revoke \(name)"
    case .compareAndSwap(_, let expected, let new, _): "swap \(expected.name) → \(new.name)"
    }
  }
}

extension StoreAnswer {
  var name: String {
    switch self {
    case .found(let state, _): "found \(state.chainLength)"
    case .unknown: "unknown"
    case .pair(let pair, _): "pair \(pair.name)"
    case .swapped: "swapped"
    case .notSwapped: "notSwapped"
    case .failed: "failed"
    }
  }
}

extension RatchetPair {
  /// The chain lengths of the states, and the beginnings of their fingerprints.
  var name: String {
    ([state1] + (state2.map { [$0] } ?? [])).map { "\($0.chainLength):\($0.fingerprint)" }.joined(separator: ",")
  }
}

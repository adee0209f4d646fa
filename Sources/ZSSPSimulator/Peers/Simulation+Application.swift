// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The applications: they open, send, re-key, close and accept, and handle events.
extension Simulation {
  func planApplication(_ peer: SimulatedPeer) {
    let interval = applicationRandom.interval(mean: plan.applicationInterval)
    agenda.add(.application(peer: peer.index, phase: phase), at: now.advanced(by: interval))
  }

  /// Executes one action of an application in turbulence.
  func applicationActs(_ peer: SimulatedPeer) {
    planApplication(peer)
    guard peer.isUp else { return }
    if isStranger(peer.index) { return strangerActs(peer) }
    guard let other = pick(peer.neighbours), !isScripted(peer.index, other) else { return }
    let sessions = peer.sessions(with: other)
    let dice = applicationRandom.below(100)
    switch dice {
    case 0..<4 where !sessions.isEmpty && sessions.count < 3: open(peer, to: other)
    case 4..<6: if let session = pick(sessions) { close(peer, session: session.id) }
    case 6..<9:
      if let session = pick(sessions) {
        trace.add(.rekey, peer: peer.index, other, at: now)
        peer.endpoint.rekey(session.id, at: localTime(peer))
        settle(peer)
      }
    default:
      if sessions.isEmpty {
        open(peer, to: other)
      } else {
        for _ in 0..<1 + applicationRandom.below(4) { sendMessage(from: peer, to: other) }
      }
    }
  }

  private func pick<Element>(_ elements: [Element]) -> Element? {
    let index = applicationRandom.below(max(1, elements.count))
    return elements.isEmpty ? nil : elements[index]
  }

  func open(_ peer: SimulatedPeer, to other: Int) {
    trace.add(.open, peer: peer.index, other, at: now)
    let time = localTime(peer)
    let identity = [UInt8](repeating: UInt8(peer.index & 0xFF), count: applicationRandom.below(64) == 0 ? 3000 : 8)
    guard
      let id = peer.endpoint.open(
        to: peers[other].publicKey, at: peers[other].address, identity: identity,
        flags: flags(between: peer.index, and: other),
        now: time)
    else { return }
    peer.known.append(.init(id: id, other: other, state: "A1", since: time))
    limitAttempt(of: peer, session: id, to: other)
    settle(peer)
  }

  /// Applications do not wait forever, and some open at the same time as their peer.
  private func limitAttempt(of peer: SimulatedPeer, session id: Int, to other: Int) {
    let isLimited = applicationRandom.chance(plan.faults.attemptLimit)
    let isBoth = applicationRandom.chance(plan.faults.bothOpen)
    let limit = applicationRandom.duration(temper.attemptLimit)
    let delay = applicationRandom.duration(.zero ... .milliseconds(80))
    guard !isCalm, !isScripted(peer.index, other) else { return }
    if isLimited {
      let item = Item.attemptLimit(peer: peer.index, incarnation: peer.incarnation, session: id, phase: phase)
      agenda.add(item, at: now.advanced(by: limit))
    }
    if isBoth { agenda.add(.reopen(peer: other, other: peer.index, phase: phase), at: now.advanced(by: delay)) }
  }

  /// Closes an attempt whose time limit has passed.
  func attemptLimited(_ peer: SimulatedPeer, session: Int) {
    guard let known = peer.known.first(where: { $0.id == session }), !known.isEstablished else { return }
    report.attemptsLimited += 1
    trace.add(.limit, peer: peer.index, known.other ?? -1, at: now)
    close(peer, session: session)
  }

  func close(_ peer: SimulatedPeer, session id: Int) {
    trace.add(.close, peer: peer.index, at: now)
    peer.endpoint.close(id)
    settle(peer)
  }

  /// Sends a message on the newest session that can send.
  func sendMessage(from peer: SimulatedPeer, to other: Int) {
    guard let session = peer.established(with: other) else { return }
    let isLarge = applicationRandom.below(16) == 0
    let size = Payload.headerSize + applicationRandom.below(isLarge ? 6 * plan.settings.mtu : 200)
    let index = flow(from: peer.index, to: other)
    let number = flows[index].send()
    let message = Payload.make(seed: seed, from: peer.index, to: other, number: number, size: size)
    trace.add(.payload, peer: peer.index, other, size, at: now)
    do {
      try peer.endpoint.send(message, on: session, at: localTime(peer))
      report.messagesSent += 1
    } catch {
      fail(.calmBroken, details: "peer \(peer.index) cannot send on an established session: \(error)")
    }
    settle(peer)
  }

  /// Opens a session if none exists.
  func reopen(_ peer: SimulatedPeer, to other: Int) {
    guard peer.isUp, peer.sessions(with: other).isEmpty else { return }
    open(peer, to: other)
  }

  /// Makes the application's decision: mostly it accepts its neighbours. It may be slow, or never
  /// answer.
  func decide(_ id: RequestID, on request: AcceptRequest, of peer: SimulatedPeer) {
    let faults = isCalm ? .none : plan.faults
    let isSlow = applicationRandom.chance(temper.slowAccept.chance)
    let isLost = applicationRandom.chance(faults.lostAnswer)
    let isMoody = applicationRandom.below(100) == 0
    let delay = applicationRandom.duration(.zero...(isSlow && !isCalm ? temper.slowAccept.most : .milliseconds(5)))
    let isCancelled = applicationRandom.chance(faults.cancelledAccept)
    let isSoon = applicationRandom.chance(0.7)
    let regret = applicationRandom.duration(.zero...(isSoon ? .milliseconds(2) : .seconds(2)))
    let decision = decision(on: request.peer, ratchetPeer: request.ratchetPeer, isMoody: isMoody, of: peer)
    if isLost { return trace.add(.answerLost, peer: peer.index, at: now) }
    agenda.add(
      .accept(peer: peer.index, incarnation: peer.incarnation, id, decision), at: now.advanced(by: delay))
    guard isCancelled, case .accept = decision, let other = index(of: request.peer) else { return }
    peer.acceptances[id] = (other, now.advanced(by: delay))
    agenda.add(
      .cancelAccept(peer: peer.index, incarnation: peer.incarnation, id), at: now.advanced(by: delay + regret))
  }

  /// Gives the application's decision to the endpoint.
  func answer(_ peer: SimulatedPeer, request id: RequestID, with decision: AcceptDecision) {
    trace.add(decision == .reject(silently: true) ? .reject : .accept, peer: peer.index, at: now)
    peer.endpoint.answer(id, accept: decision, at: localTime(peer))
    settle(peer)
  }

  /// Cancels the acceptance of a peer. If nothing was asked of the store since, no session may
  /// result; otherwise the application closes the session that does.
  func cancelAccept(of peer: SimulatedPeer, request id: RequestID) {
    guard let acceptance = peer.acceptances[id] else { return }
    report.cancelledAccepts += 1
    trace.add(.cancelled, peer: peer.index, acceptance.other, at: now)
    let isInTime = peer.lastSwapRequests[acceptance.other] < acceptance.at
    peer.cancelled[id] = peer.endpoint.cancelAccept(id) || isInTime
    settle(peer)
  }

  /// Called when a session resulted from a cancelled acceptance.
  private func establishedInVain(at peer: SimulatedPeer, session: Int, with other: Int, wasInTime: Bool) {
    if wasInTime {
      fail(
        .cancelledAccept,
        details:
          "peer \(peer.index) has a session with \(other) of which its application had cancelled the acceptance, before "
          + "anything was stored")
    }
    agenda.add(.closeCancelled(peer: peer.index, incarnation: peer.incarnation, session: session), at: now)
  }

  /// Makes the decision synchronously.
  func decideAtOnce(_ key: PublicKey, ratchetPeer: PublicKey?, of peer: SimulatedPeer) -> AcceptDecision {
    let isMoody = applicationRandom.below(100) == 0
    let decision = decision(on: key, ratchetPeer: ratchetPeer, isMoody: isMoody, of: peer)
    trace.add(decision == .reject(silently: true) ? .reject : .accept, peer: peer.index, at: now)
    return decision
  }

  private func decision(
    on key: PublicKey, ratchetPeer: PublicKey?, isMoody: Bool, of peer: SimulatedPeer
  ) -> AcceptDecision {
    let refusal = AcceptDecision.reject(silently: peer.flags.contains(.responderRejectsSilently))
    guard let other = index(of: key), !isStranger(other) else { return refusal }
    if let ratchetPeer, ratchetPeer != key {
      fail(.wrongPeer, details: "peer \(other) came to peer \(peer.index) with the ratchet of another")
    }
    return isCalm || !isMoody ? .accept(flags(between: peer.index, and: other)) : refusal
  }

  func happened(_ event: SimulatedEvent, at peer: SimulatedPeer) {
    trace.add(.event, peer: peer.index, text: event.name, at: now)
    let time = localTime(peer)
    switch event {
    case .established(let id, let key, _, _, let acceptance):
      report.handshakes += 1
      guard let other = index(of: key), !isStranger(other), !isStranger(peer.index) else {
        return fail(.strangerAccepted, details: "peer \(peer.index) has a session with a stranger")
      }
      if !peer.known.contains(where: { $0.id == id }) {
        peer.known.append(.init(id: id, other: other, state: "", since: time))
      }
      update(id, of: peer) {
        $0.establishedAt = now
        $0.swappedAt = peer.lastSwaps[other]
      }
      if let wasInTime = acceptance.flatMap({ peer.cancelled[$0] }) {
        establishedInVain(at: peer, session: id, with: other, wasInTime: wasInTime)
      }
      adversaryNotices(peer.index, and: other)
    case .restarted(let id, _):
      report.restarts += 1
      update(id, of: peer) { $0.since = time }
    case .downgraded(_, let key, _):
      report.downgrades += 1
      guard let other = index(of: key) else { return }
      if isPersistent(peer.index, other) {
        fail(.downgraded, details: "peer \(peer.index) was downgraded by \(other) in persistent mode")
      }
      checkDowngradeReport(of: peer, by: other)
    case .rekeyed(let id, _):
      report.rekeys += 1
      update(id, of: peer) {
        $0.since = time
        if let other = $0.other {
          $0.swappedAt = peer.lastSwaps[other]
          adversaryNotices(peer.index, and: other)
        }
      }
    case .answered: report.probesAnswered += 1
    case .moved:
      report.moves += 1
      // An authentic packet moves a session even if it is dropped for another reason.
      if let delivering { recordSource(of: delivering, at: peer) }
    case .ended(let id, let reason):
      report.ends[reason, default: 0] += 1
      ended(id, reason: reason, at: peer)
    case .confirmed, .withdrawn: break
    }
  }

  private func ended(_ id: Int, reason: String, at peer: SimulatedPeer) {
    let known = peer.known.first { $0.id == id }
    let other = known?.other
    if reason == "replaced", let known, known.isEstablished { peer.replaced.append(known) }
    peer.forget(id)
    guard let other, !isStranger(peer.index) else { return }
    if isCalm {
      if recoveredAt != nil {
        fail(.calmBroken, details: "the session of peers \(peer.index) and \(other) ended in calm: \(reason)")
      }
    } else if applicationRandom.below(4) > 0 {
      let delay = applicationRandom.duration(temper.pause)
      guard !isScripted(peer.index, other) else { return }
      agenda.add(.reopen(peer: peer.index, other: other, phase: phase), at: now.advanced(by: delay))
    }
  }

  private func update(_ id: Int, of peer: SimulatedPeer, _ change: (inout SimulatedPeer.Known) -> Void) {
    guard let index = peer.known.firstIndex(where: { $0.id == id }) else { return }
    change(&peer.known[index])
  }
}

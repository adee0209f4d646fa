// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// What the applications do: open, send, re-key, close, accept, and look at events.
extension Simulation {
  func planApplication(_ peer: SimulatedPeer) {
    let interval = applicationRandom.interval(mean: plan.applicationInterval)
    agenda.add(.application(peer: peer.index, phase: phase), at: now.advanced(by: interval))
  }

  /// One thing that an application does in turbulence.
  func applicationActs(_ peer: SimulatedPeer) {
    planApplication(peer)
    guard peer.isUp else { return }
    if isStranger(peer.index) { return strangerActs(peer) }
    guard let other = pick(peer.neighbours) else { return }
    let sessions = peer.sessions(with: other)
    let dice = applicationRandom.below(100)
    switch dice {
    case 0..<4 where !sessions.isEmpty && sessions.count < 3: open(peer, other)
    case 4..<6: if let session = pick(sessions) { close(peer, session.id) }
    case 6..<9:
      if let session = pick(sessions) {
        trace.add(.rekey, peer: peer.index, other, at: now)
        peer.endpoint.rekey(session.id, at: localTime(peer))
        settle(peer)
      }
    default:
      if sessions.isEmpty {
        open(peer, other)
      } else {
        for _ in 0..<1 + applicationRandom.below(4) { sendMessage(peer, other) }
      }
    }
  }

  private func pick<Element>(_ elements: [Element]) -> Element? {
    let index = applicationRandom.below(max(1, elements.count))
    return elements.isEmpty ? nil : elements[index]
  }

  func open(_ peer: SimulatedPeer, _ other: Int) {
    trace.add(.open, peer: peer.index, other, at: now)
    let time = localTime(peer)
    let identity = [UInt8](repeating: UInt8(peer.index & 0xFF), count: applicationRandom.below(64) == 0 ? 3000 : 8)
    guard
      let id = peer.endpoint.open(
        to: peers[other].publicKey, at: peers[other].address, identity: identity, flags: flags(peer.index, other),
        now: time)
    else { return }
    peer.known.append(.init(id: id, other: other, state: "A1", since: time))
    settle(peer)
  }

  func close(_ peer: SimulatedPeer, _ id: Int) {
    trace.add(.close, peer: peer.index, at: now)
    peer.endpoint.close(id)
    settle(peer)
  }

  /// Sends a message on the newest session that carries one.
  func sendMessage(_ peer: SimulatedPeer, _ other: Int) {
    guard let session = peer.established(with: other) else { return }
    let isLarge = applicationRandom.below(16) == 0
    let size = Payload.headerSize + applicationRandom.below(isLarge ? 6 * plan.settings.mtu : 200)
    let index = flow(peer.index, other)
    let number = flows[index].send()
    let message = Payload.make(seed: seed, from: peer.index, to: other, number: number, size: size)
    trace.add(.payload, peer: peer.index, other, size, at: now)
    do {
      try peer.endpoint.send(message, on: session, at: localTime(peer))
      report.messagesSent += 1
    } catch {
      fail(.calmBroken, "peer \(peer.index) cannot send on an established session: \(error)")
    }
    settle(peer)
  }

  /// Opens a session if there still is none.
  func reopen(_ peer: SimulatedPeer, _ other: Int) {
    guard peer.isUp, peer.sessions(with: other).isEmpty else { return }
    open(peer, other)
  }

  /// Whom an application takes: its neighbours, mostly. It may be slow, or never answer.
  func decide(_ id: RequestID, _ request: AcceptRequest, of peer: SimulatedPeer) {
    let faults = isCalm ? .none : plan.faults
    let (isSlow, isLost) = (applicationRandom.below(20) == 0, applicationRandom.chance(faults.lostAnswer))
    let isMoody = applicationRandom.below(100) == 0
    let delay = applicationRandom.duration(.zero...(isSlow && !isCalm ? .seconds(12) : .milliseconds(5)))
    let decision = decision(on: request.peer, ratchetPeer: request.ratchetPeer, isMoody: isMoody, of: peer)
    if isLost { return trace.add(.answerLost, peer: peer.index, at: now) }
    agenda.add(
      .accept(peer: peer.index, incarnation: peer.incarnation, id, decision), at: now.advanced(by: delay))
  }

  /// The same for an endpoint that waits for the answer.
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
      fail(.wrongPeer, "peer \(other) came to peer \(peer.index) with the ratchet of another")
    }
    return isCalm || !isMoody ? .accept(flags(peer.index, other)) : refusal
  }

  func happened(_ event: SimulatedEvent, at peer: SimulatedPeer) {
    trace.add(.event, peer: peer.index, text: event.name, at: now)
    let time = localTime(peer)
    switch event {
    case .established(let id, let key, _, _):
      report.handshakes += 1
      guard let other = index(of: key), !isStranger(other), !isStranger(peer.index) else {
        return fail(.strangerAccepted, "peer \(peer.index) has a session with a stranger")
      }
      if !peer.known.contains(where: { $0.id == id }) {
        peer.known.append(.init(id: id, other: other, state: "S1", since: time))
      }
    case .restarted(let id, _):
      report.restarts += 1
      update(id, of: peer) { $0.since = time }
    case .downgraded(_, let key, _):
      report.downgrades += 1
      if let other = index(of: key), isPersistent(peer.index, other) {
        fail(.downgraded, "peer \(peer.index) was downgraded by \(other) in persistent mode")
      }
    case .rekeyed(let id, _):
      report.rekeys += 1
      update(id, of: peer) { $0.since = time }
    case .moved: report.moves += 1
    case .ended(let id, let reason):
      report.ends[reason, default: 0] += 1
      ended(id, reason, at: peer)
    case .confirmed, .withdrawn: break
    }
  }

  private func ended(_ id: Int, _ reason: String, at peer: SimulatedPeer) {
    let other = peer.known.first { $0.id == id }?.other
    peer.forget(id)
    guard let other, !isStranger(peer.index) else { return }
    if isCalm {
      if recoveredAt != nil {
        fail(.calmBroken, "the session of peers \(peer.index) and \(other) ended in calm: \(reason)")
      }
    } else if applicationRandom.below(4) > 0 {
      let delay = applicationRandom.duration(.zero ... .seconds(10))
      agenda.add(.reopen(peer: peer.index, other: other, phase: phase), at: now.advanced(by: delay))
    }
  }

  private func update(_ id: Int, of peer: SimulatedPeer, _ change: (inout SimulatedPeer.Known) -> Void) {
    guard let index = peer.known.firstIndex(where: { $0.id == id }) else { return }
    change(&peer.known[index])
  }
}

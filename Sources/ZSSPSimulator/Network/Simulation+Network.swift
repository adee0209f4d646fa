// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The network: delays, losses and changes of datagrams.
extension Simulation {
  /// Takes a datagram from an endpoint.
  func send(_ bytes: [UInt8], from peer: SimulatedPeer, to address: Address) {
    trace.add(.send, peer: peer.index, bytes.count, Int(address.low & 0xFFFF), at: now)
    if peer.flags.contains(.helloRequiresRatchet),
      peers.contains(where: { isStranger($0.index) && $0.address == address })
    {
      fail(
        .notSilent,
        details: "peer \(peer.index), whose Hellos require a ratchet, sent \(bytes.count) bytes to a stranger")
    }
    // An attacker that repeats a recognised Hello gets the response to it, which is useless to it.
    if peer.flags.contains(.helloRequiresRatchet), isMallory(address), !peer.repeaters.contains(address) {
      fail(
        .notSilent,
        details: "peer \(peer.index), whose Hellos require a ratchet, sent \(bytes.count) bytes to an attacker")
    }
    var parcel = Parcel(from: peer.address, to: address, bytes: bytes, sender: peer.index, origin: peer.index)
    parcel.label = ledger.label(bytes) ?? PacketLabel(unprotected: bytes)
    parcel.number = tracer?.next() ?? 0
    tracer?.write(parcel, fate: "sent", from: peer.index, to: self.peer(at: address), at: now)
    capture(parcel)
    let plan = isCalm ? .perfect : plan.network
    // All draws are made for every datagram, whatever happens to it.
    let isLost = networkRandom.chance(plan.loss)
    let isTwice = networkRandom.chance(plan.duplication)
    let isLate = networkRandom.chance(plan.reordering)
    let isCorrupt = networkRandom.chance(plan.corruption)
    let delay = networkRandom.duration(isLate ? plan.lateness : plan.delay)
    let second = networkRandom.duration(plan.lateness)
    let place = networkRandom.below(max(1, bytes.count))
    if self.plan.adversary.isActive, let label = parcel.label, adversaryTakes(&parcel, label: label, from: peer) {
      tracer?.write(parcel, fate: "held", at: now)
      return
    }
    guard !isLost else {
      report.datagramsLost += 1
      tracer?.write(parcel, fate: "lost", at: now)
      return trace.add(.lost, peer: peer.index, at: now)
    }
    if isTwice {
      report.datagramsDuplicated += 1
      agenda.add(.deliver(parcel), at: now.advanced(by: second))
    }
    if isCorrupt, !bytes.isEmpty {
      parcel.bytes[place] ^= 1 << UInt8(place & 7)
      parcel.isForged = true
      parcel.label = nil
    }
    agenda.add(.deliver(parcel), at: now.advanced(by: delay))
  }

  /// Delivers a datagram to the current owner of its address.
  func deliver(_ parcel: Parcel) {
    guard let peer = peers.first(where: { $0.address == parcel.to }), peer.isUp else {
      if passOn(parcel) { return }
      tracer?.write(parcel, fate: "lost", at: now)
      report.datagramsLost += 1
      return
    }
    if let sender = parcel.sender, blockedUntil[flow(from: sender, to: peer.index)] > now {
      tracer?.write(parcel, fate: "lost", at: now)
      report.datagramsLost += 1
      return
    }
    if !parcel.isMadeUp, isMallory(parcel.from) { peer.repeaters.insert(parcel.from) }
    let time = localTime(peer)
    let timers = stateTimers(peer)
    let bytes = parcel.bytes
    tracer?.write(parcel, fate: "delivered", to: peer.index, at: now)
    let reception = peer.endpoint.receive(bytes, from: parcel.from, at: time)
    switch reception {
    case .message(let session, let message): messageReceived(by: peer, session: session, message)
    case .handled: trace.add(.deliver, peer: peer.index, bytes.count, at: now)
    case .dropped(let reason): trace.add(.drop, peer: peer.index, bytes.count, text: reason, at: now)
    }
    if case .dropped = reception {} else { recordSource(of: parcel, at: peer) }
    if case .dropped = reception { expectTimers(timers, of: peer, because: "it was dropped") }
    if parcel.isForged { expectTimers(timers, of: peer, because: "it is forged") }
    delivering = parcel
    settle(peer)
    delivering = nil
  }

  /// Returns the peer that has an address now; nil if none.
  private func peer(at address: Address) -> Int? { peers.first { $0.address == address }?.index }

  private func stateTimers(_ peer: SimulatedPeer) -> [SimulatedSession?] {
    peer.known.map { peer.endpoint.session($0.id) }
  }

  private func expectTimers(
    _ timers: [SimulatedSession?], of peer: SimulatedPeer, because reason: String
  ) {
    for (known, before) in zip(peer.known, timers) {
      let after = peer.endpoint.session(known.id)
      // In A1, an X2 that is not authentic acts as the state's timeout (section 11). An endpoint
      // that waits for its public-key work does not know the result yet.
      if peer.endpoint.actsAtOnce, before?.state == "A1" { continue }
      if before?.stateDeadline != after?.stateDeadline || before?.resendDeadline != after?.resendDeadline {
        fail(.timerMoved, details: "a datagram moved a timer of peer \(peer.index) in \(known.state), though \(reason)")
      }
    }
  }

  /// Passes a message to the application.
  private func messageReceived(by peer: SimulatedPeer, session: Int, _ message: [UInt8]) {
    var message = message
    hooks.tamper?(&message)
    for _ in 0..<hooks.deliveries { check(message, of: peer, session: session) }
    report.messagesReceived += 1
    trace.add(.message, peer: peer.index, message.count, at: now)
  }

  private func check(_ message: [UInt8], of peer: SimulatedPeer, session: Int) {
    guard let other = peer.known.first(where: { $0.id == session })?.other else {
      return fail(.wrongPeer, details: "peer \(peer.index) got a message of a session that it does not know")
    }
    guard let (from, to, number) = Payload.check(message, seed: seed) else {
      return fail(.altered, details: "peer \(peer.index) got \(message.count) bytes from \(other) that nobody sent")
    }
    guard from == other, to == peer.index else {
      return fail(.wrongPeer, details: "peer \(peer.index) got from \(other) what \(from) sent to \(to)")
    }
    guard flows[flow(from: from, to: to)].receive(number) else {
      return fail(.deliveredTwice, details: "peer \(to) got message \(number) of \(from) twice, or before it was sent")
    }
  }

  private func capture(_ parcel: Parcel) {
    guard plan.attacksPerSecond > 0 else { return }
    if captured.count < 256 {
      captured.append(parcel)
    } else {
      // Old ones stay for a while, because replayed packets matter most when they are old.
      captured[attackRandom.below(captured.count)] = parcel
    }
  }
}

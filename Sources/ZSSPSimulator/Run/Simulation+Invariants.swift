// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The invariants that are checked after every step.
extension Simulation {
  /// Checks a peer after an input.
  func checkInvariants(of peer: SimulatedPeer) {
    if let nonce = ledger.reusedNonce {
      fail(.nonceReused, details: "nonce \(nonce.type)‖\(nonce.counter) was used twice under one key")
    }
    let held = peer.endpoint.holdings
    let settings = plan.settings
    if held.sessions != peer.known.count {
      fail(
        .unbounded,
        details: "peer \(peer.index) holds \(held.sessions) sessions, and its application knows \(peer.known.count)")
    }
    if held.halfOpen > settings.halfOpenLimit || held.incompleteHellos > settings.helloLimit
      || held.keyIDs > 4 * held.sessions + held.halfOpen || held.timers > held.sessions + held.halfOpen
      || held.requests > held.sessions + held.halfOpen
    {
      fail(.unbounded, details: "peer \(peer.index) holds \(held)")
    }
    // Each endpoint of a fleet has its own limit.
    let endpoints = peer.index == 0 ? max(1, plan.responders) : 1
    let reassemblyLimit = endpoints * (settings.totalReassemblyLimit + settings.helloLimit * PacketSize.hello)
    if held.largestReassembly > settings.reassemblyLimit || held.reassemblyBytes > reassemblyLimit {
      fail(.unbounded, details: "peer \(peer.index) holds \(held.reassemblyBytes) bytes of incomplete packets")
    }
    let time = localTime(peer)
    let isDue = peer.endpoint.nextDeadline.map { $0 <= time } ?? false
    for index in peer.known.indices { observe(index, of: peer, at: time, isDue: isDue) }
    if !peer.replaced.isEmpty { checkReplaced(of: peer) }
  }

  /// Follows a session's state from outside.
  private func observe(_ index: Int, of peer: SimulatedPeer, at time: Instant, isDue: Bool) {
    let known = peer.known[index]
    guard let session = peer.endpoint.session(known.id) else {
      return fail(.unbounded, details: "a session of peer \(peer.index) is gone without an event")
    }
    peer.known[index].isEstablished = session.isEstablished
    if session.state != known.state {
      peer.known[index].state = session.state
      peer.known[index].since = time
      sessionChanged(index, of: peer, from: known.state, to: session)
    } else if !isDue, known.since.duration(to: time) > longest(session.state) {
      fail(
        .stuck,
        details: "peer \(peer.index) has been in \(session.state) with \(known.other ?? -1) for "
          + "\(known.since.duration(to: time))")
    }
  }

  // [TIME-2] [TIME-4] [TIME-5] [TIME-6] [TIME-7] [TIME-8] [TIME-9]
  /// Returns the maximum duration of a state (section 11). S2 may wait for a lost answer, and ask
  /// again, a few times.
  private func longest(_ state: String) -> Duration {
    let settings = plan.settings
    switch state {
    case "A1", "A3": return settings.handshakeTimeout
    case "S2": return settings.rekeyAfter + settings.handshakeTimeout * 12
    default: return settings.rekeyTimeout
    }
  }

  /// Checks that a shortened chain is a permitted downgrade: to the first link of a new chain.
  /// After a loss it may also continue the new chain, if a late packet of the old one came in
  /// between.
  func checkRegress(_ regress: SimulatedStore.Regress, of peer: SimulatedPeer) {
    let other = index(of: regress.peer) ?? -1
    if other < 0 || isPersistent(peer.index, other) || regress.to != 1 && !wasLost(peer.index, other) {
      fail(
        .chainWentBack,
        details: "the chain of peer \(peer.index) with \(other) went from \(regress.from) to \(regress.to)")
    }
  }
}

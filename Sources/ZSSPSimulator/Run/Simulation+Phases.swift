// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The phases: turbulence, in which everything may fail, and calm, in which everything must
/// recover.
extension Simulation {
  /// The maximum time until every pair has a working session, after the network has recovered,
  /// attackers are gone and all peers run.
  ///
  /// A side that waits for an answer that never comes ends after the timeout of S1, R1 or R2. Its
  /// application then opens a session. The other side may still be in one of these states only if
  /// it entered it later. A handshake that collided with the rest of an earlier one ends after the
  /// timeouts of A1 and A3.
  public var recoveryLimit: Duration {
    plan.settings.rekeyTimeout + plan.settings.handshakeTimeout * 3 + .seconds(5)
  }

  func beginTurbulence() {
    phase += 1
    isCalm = false
    recoveredAt = nil
    trace.add(.turbulence, at: now)
    for peer in peers { planApplication(peer) }
    for peer in 0..<plan.peers {
      for fault in [Fault.crash(peer: peer), .rebind(peer: peer), .leap(peer: peer)] { planFault(fault) }
    }
    planFault(.partition)
    planAttack()
    planCampaign(after: .zero)
    planRelease()
  }

  func beginCalm() {
    phase += 1
    isCalm = true
    calmSince = now
    recoveredAt = nil
    turbulenceTakesEffectUntil = peers.flatMap(\.lastEffects).max() ?? now
    endCampaigns()
    trace.add(.calm, at: now)
    for index in blockedUntil.indices { blockedUntil[index] = Instant(nanoseconds: .min) }
    for index in flows.indices { flows[index].setMark() }
    for peer in peers where !peer.isUp { restart(peer) }
    for peer in peers where isStranger(peer.index) {
      for known in peer.known { close(peer, session: known.id) }
    }
    agenda.add(.calmTick(phase: phase), at: now)
  }

  /// Runs the applications in calm: they ensure a session and send on it, every second until
  /// everything has recovered, and then every few minutes.
  func calmTick() {
    if recoveredAt == nil, violation == nil, now >= turbulenceTakesEffectUntil,
      links.allSatisfy({ trouble(low: $0, high: $1) == nil })
    {
      recovered()
    }
    for (low, high) in links {
      if recoveredAt == nil { maintain(low: low, high: high) }
      sendMessage(from: peers[low], to: high)
      sendMessage(from: peers[high], to: low)
    }
    if recoveredAt == nil, calmSince.duration(to: now) > recoveryLimit {
      for (low, high) in links {
        if let trouble = trouble(low: low, high: high) {
          fail(.lockedOut, details: "peers \(low) and \(high): \(trouble)")
        }
      }
    }
    let interval =
      recoveredAt == nil ? Duration.seconds(1) : .seconds(60) + applicationRandom.duration(.zero ... .seconds(180))
    agenda.add(.calmTick(phase: phase), at: now.advanced(by: interval))
  }

  private func recovered() {
    recoveredAt = now
    report.recoveries += 1
    report.longestRecovery = max(report.longestRecovery, calmSince.duration(to: now) / .seconds(1))
    trace.add(.recovered, at: now)
    for index in flows.indices { flows[index].setMark() }
  }

  /// Ensures a session. The protocol follows a peer's move by its messages. It fails only if both
  /// peers move at once, or before a session exists; then the application, which knows the
  /// addresses, opens another session.
  private func maintain(low: Int, high: Int) {
    for (one, other) in [(low, high), (high, low)] {
      let peer = peers[one]
      for known in peer.sessions(with: other) where !known.isEstablished {
        guard let session = peer.endpoint.session(known.id), session.address != peers[other].address else { continue }
        report.reopenedAfterMoves += 1
        close(peer, session: known.id)
      }
      if peer.sessions(with: other).isEmpty { open(peer, to: other) }
    }
    if let one = wrongAddress(at: low, for: high), wrongAddress(at: high, for: low) != nil {
      report.reopenedAfterMoves += 1
      close(peers[low], session: one)
      open(peers[low], to: high)
    }
    reopenIfStoresDiffer(low: low, high: high)
  }

  /// A swap that was reported as failed, or an attempt that was abandoned after X2, can leave a
  /// newer state in one store. The session would end at its next re-key (section 9), and its
  /// application would open another. Here the application does so at once, because sessions must
  /// not end in calm.
  private func reopenIfStoresDiffer(low: Int, high: Int) {
    let stored = (peers[low].store.pair(peers[high].publicKey), peers[high].store.pair(peers[low].publicKey))
    guard stored.0 != stored.1, let session = peers[low].established(with: high),
      peers[low].endpoint.session(session)?.state == "S2", peers[high].established(with: low) != nil
    else { return }
    report.reopenedAfterSwaps += 1
    close(peers[low], session: session)
    open(peers[low], to: high)
  }

  private func wrongAddress(at peer: Int, for other: Int) -> Int? {
    guard let id = peers[peer].established(with: other), let session = peers[peer].endpoint.session(id),
      session.address != peers[other].address
    else { return nil }
    return id
  }

  /// Returns what is still wrong between two peers; nil if they have one session in S2 with the
  /// same key, both have received from the other in this calm, and their stores agree.
  func trouble(low: Int, high: Int) -> String? {
    var descriptions: [SimulatedSession] = []
    for (one, other) in [(low, high), (high, low)] {
      let sessions = peers[one].sessions(with: other)
      guard sessions.count == 1, let session = peers[one].endpoint.session(sessions[0].id) else {
        return "peer \(one) has \(sessions.count) sessions with \(other): \(sessions.map(\.state))"
      }
      guard session.state == "S2" else { return "peer \(one) is in \(session.state)" }
      descriptions.append(session)
      guard flows[flow(from: one, to: other)].receivedSinceMark > 0 || recoveredAt != nil else {
        return "nothing has come from \(one) to \(other)"
      }
    }
    guard descriptions[0].chainLength == descriptions[1].chainLength else {
      return "chain lengths \(descriptions.map(\.chainLength))"
    }
    let pairs = (peers[low].store.pair(peers[high].publicKey), peers[high].store.pair(peers[low].publicKey))
    guard pairs.0 == pairs.1, pairs.0.state2 == nil else {
      return "the stores hold \(StoreAnswer.pair(pairs.0).name) and \(StoreAnswer.pair(pairs.1).name)"
    }
    return nil
  }

  /// Checks at the end of a calm that nothing is missing.
  ///
  /// - Throws: ``Violation``.
  func endCalm() throws(Violation) {
    if recoveredAt == nil { fail(.lockedOut, details: "calm was too short for all pairs to come back") }
    for (low, high) in links {
      for (from, to) in [(low, high), (high, low)] {
        let flow = flows[flow(from: from, to: to)]
        // The last message may still be under way.
        let missing = flow.sent - flow.mark - flow.receivedSinceMark
        if missing > 1 { fail(.calmBroken, details: "\(missing) messages from \(from) to \(to) were lost in calm") }
      }
      for (one, other) in [(low, high), (high, low)] where peers[one].sessions(with: other).count != 1 {
        fail(.calmBroken, details: "peer \(one) has \(peers[one].sessions(with: other).count) sessions with \(other)")
      }
    }
    if let violation { throw violation }
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Turbulence, in which all may go wrong, and calm, in which all must come back.
extension Simulation {
  /// How long it may take until every pair has one session that works, once the network is well again, attackers are
  /// gone and all peers run.
  ///
  /// The side that waits for an answer that will never come gives up after S1's, R1's or R2's timeout. Its
  /// application then opens a session; by then the other side may have one of these states to sit out only if it
  /// entered it since. A handshake that met the rest of an earlier one is over after A1's and after A3's timeout.
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
      for known in peer.known { close(peer, known.id) }
    }
    agenda.add(.calmTick(phase: phase), at: now)
  }

  /// What applications do in calm: see that there is a session and send on it, every second until all is well, and
  /// then every few minutes.
  func calmTick() {
    if recoveredAt == nil, violation == nil, now >= turbulenceTakesEffectUntil,
      links.allSatisfy({ trouble($0, $1) == nil })
    {
      recovered()
    }
    for (low, high) in links {
      if recoveredAt == nil { maintain(low, high) }
      sendMessage(peers[low], high)
      sendMessage(peers[high], low)
    }
    if recoveredAt == nil, calmSince.duration(to: now) > recoveryLimit {
      for (low, high) in links {
        if let trouble = trouble(low, high) { fail(.lockedOut, "peers \(low) and \(high): \(trouble)") }
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

  /// Sees that there is a session. The protocol finds a peer that has moved by its messages, and loses it only when
  /// both move at once, or before there is a session; then the application, which knows addresses, opens anew.
  private func maintain(_ low: Int, _ high: Int) {
    for (one, other) in [(low, high), (high, low)] {
      let peer = peers[one]
      for known in peer.sessions(with: other) where !known.isEstablished {
        guard let session = peer.endpoint.session(known.id), session.address != peers[other].address else { continue }
        report.reopenedAfterMoves += 1
        close(peer, known.id)
      }
      if peer.sessions(with: other).isEmpty { open(peer, other) }
    }
    if let one = wrongAddress(low, high), wrongAddress(high, low) != nil {
      report.reopenedAfterMoves += 1
      close(peers[low], one)
      open(peers[low], high)
    }
    reopenIfStoresDiffer(low, high)
  }

  /// A swap that was reported as failed, or an attempt that was given up after X2, can leave a newer state beside that of
  /// the session on one side. The session then ends at its next re-key, by section 9, and its application opens another;
  /// here it does so at once, for there are no surprises in calm.
  private func reopenIfStoresDiffer(_ low: Int, _ high: Int) {
    let stored = (peers[low].store.pair(peers[high].publicKey), peers[high].store.pair(peers[low].publicKey))
    guard stored.0 != stored.1, let session = peers[low].established(with: high),
      peers[low].endpoint.session(session)?.state == "S2", peers[high].established(with: low) != nil
    else { return }
    report.reopenedAfterSwaps += 1
    close(peers[low], session)
    open(peers[low], high)
  }

  private func wrongAddress(_ peer: Int, _ other: Int) -> Int? {
    guard let id = peers[peer].established(with: other), let session = peers[peer].endpoint.session(id),
      session.address != peers[other].address
    else { return nil }
    return id
  }

  /// What is still wrong between two peers; nil if they have one session in S2 with the same key, both have heard from
  /// the other in this calm, and their stores agree.
  func trouble(_ low: Int, _ high: Int) -> String? {
    var descriptions: [SimulatedSession] = []
    for (one, other) in [(low, high), (high, low)] {
      let sessions = peers[one].sessions(with: other)
      guard sessions.count == 1, let session = peers[one].endpoint.session(sessions[0].id) else {
        return "peer \(one) has \(sessions.count) sessions with \(other): \(sessions.map(\.state))"
      }
      guard session.state == "S2" else { return "peer \(one) is in \(session.state)" }
      descriptions.append(session)
      guard flows[flow(one, other)].receivedSinceMark > 0 || recoveredAt != nil else {
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

  /// At the end of a calm nothing may be missing.
  func endCalm() throws(Violation) {
    if recoveredAt == nil { fail(.lockedOut, "calm was too short for all pairs to come back") }
    for (low, high) in links {
      for (from, to) in [(low, high), (high, low)] {
        let flow = flows[flow(from, to)]
        // What was sent last may be on its way.
        let missing = flow.sent - flow.mark - flow.receivedSinceMark
        if missing > 1 { fail(.calmBroken, "\(missing) messages from \(from) to \(to) were lost in calm") }
      }
      for (one, other) in [(low, high), (high, low)] where peers[one].sessions(with: other).count != 1 {
        fail(.calmBroken, "peer \(one) has \(peers[one].sessions(with: other).count) sessions with \(other)")
      }
    }
    if let violation { throw violation }
  }
}

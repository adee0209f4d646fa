// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import Synchronization
  import ZSSP
  import ZSSPNIO

  /// Peers and their sessions.
  extension TunnelLoop {
    /// Returns true if the caller must follow a session's events. When both sides open at once, the
    /// session arrives twice, as opened and as accepted: two objects that share one sequence of
    /// events, which only one may read.
    func beginFollowing(_ session: SessionPlace) -> Bool { followed.insert(session).inserted }

    /// Records that the session's events have ended.
    func endFollowing(_ session: SessionPlace) { followed.remove(session) }

    /// Makes a session the one for packets to a peer, and sends those that waited.
    ///
    /// - Returns: The peer's counters; nil if the peer was removed.
    func attach(_ session: Session, to id: Int) -> PeerGauges? {
      guard let peer = peers[id] else { return nil }
      let now = clock()
      if let reason = session.endReason {
        peer.recordEnd(reason, after: .zero, at: now)
        return peer.gauges
      }
      peer.begin(session, at: now)
      peer.liveness.restart()
      peer.backoff.restart()
      peer.failure = nil
      peer.saidFailures = []
      peer.gauges.recordReceived(at: now)
      beginPath(of: peer, session, at: now)
      let waiting = peer.waiting.takeAll()
      if !waiting.isEmpty { send(waiting, to: peer, on: session, at: now) }
      return peer.gauges
    }

    /// Removes a peer's session, and permits an attempt at once.
    func detach(_ id: Int) -> Session? {
      peers[id]?.takeSession()
    }

    /// Records an event of a session.
    func record(_ event: Event, of session: SessionPlace, peer id: Int) {
      guard let peer = peers[id], peer.session?.place == session else { return }
      switch event {
      case .moved(_, _, let address):
        peer.moved(to: address)
        if let session = peer.session { movePath(of: peer, session, at: clock()) }
      case .rekeyed(_, let chainLength):
        peer.rekeyed(chainLength: chainLength, at: clock())
      case .ended(_, let reason): peer.endSession(reason, at: clock())
      default: break
      }
    }

    // MARK: Opening

    /// The parameters for opening a session.
    struct DialPlan: Sendable {
      let configuration: PeerConfiguration
      let lastAddress: Address?
      /// The number of failed attempts since the last session, which selects the next address.
      let failures: Int
    }

    /// Returns the parameters for opening a session with a peer; nil if the peer was removed.
    func plan(_ id: Int) -> DialPlan? {
      peers[id].map {
        DialPlan(configuration: $0.configuration, lastAddress: $0.address, failures: $0.backoff.failures)
      }
    }

    /// Records the end of an attempt that succeeded, or was not made.
    func stopDialing(_ id: Int) {
      guard let peer = peers[id] else { return }
      peer.isDialing = false
      if peer.hasSession { peer.liveness.restart() }
    }

    /// The number of failures in a row after which the failure is logged again: about once an hour.
    private static let failuresPerLine = 30

    /// Records a failed attempt. Packets for a session that is no longer wanted are dropped.
    ///
    /// - Returns: True if the failure must be logged: the first of its kind, and then rarely.
    func dialingFailed(to id: Int, failure: DialFailure) -> Bool {
      guard let peer = peers[id] else { return false }
      let now = clock()
      peer.isDialing = false
      // Meanwhile the peer may have opened a session, or answered on the existing one.
      guard !peer.hasSession || peer.isSilent(at: now) else {
        peer.liveness.restart()
        return false
      }
      peer.attemptFailed(at: now)
      if !peer.isInDemand(at: now), !peer.waiting.isEmpty {
        drops.count(.queueFull, peer.waiting.packetCount, of: peer.gauges)
        _ = peer.waiting.takeAll()
      }
      // A missing answer says less than a reason that was found before.
      if failure.kind != .noAnswer || peer.failure == nil { peer.failure = failure }
      let isNew = peer.saidFailures.insert(failure.kind).inserted
      return isNew || peer.backoff.failures.isMultiple(of: Self.failuresPerLine)
    }

    /// Records that a peer came without its ratchet, unless a session with it works.
    func recordLostRatchet(of id: Int, failure: DialFailure) {
      guard let peer = peers[id], !peer.hasSession || peer.isSilent(at: clock()) else { return }
      peer.failure = failure
    }

    /// Returns true if a session is wanted with a peer that has none, or does not answer.
    private func isWanted(_ peer: TunnelPeer, at now: Instant) -> Bool {
      guard peer.canBeReached else { return false }
      // Packets may wait although no session is being opened, if one ended before they were sent.
      if !peer.waiting.isEmpty || peer.isInDemand(at: now) { return true }
      return peer.configuration.keepalive != nil && !peer.configuration.endpoints.isEmpty
    }

    /// Called once a second.
    func tick() {
      let now = clock()
      for peer in peers.values {
        // The end of the session may not have been reported yet.
        if let reason = peer.session?.endReason { peer.endSession(reason, at: now) }
        guard let session = peer.session else {
          if isWanted(peer, at: now) { dial(peer, at: now) }
          continue
        }
        tickPath(of: peer, session, at: now)
        let keepalive = peer.configuration.keepalive
        switch peer.liveness.check(at: now, lastReceived: peer.gauges.lastReceived, keepalive: keepalive) {
        case .nothing: break
        case .probe: session.probeSoon()
        case .newSession where isWanted(peer, at: now):
          session.probeSoon()
          dial(peer, at: now)
        case .newSession: break
        }
      }
    }

    /// Probes the peers that have been silent for a time.
    ///
    /// - Returns: The numbers of the probed peers.
    func probe(unheardFor silence: Duration) -> [Int] {
      let now = clock()
      return peers.values.compactMap { peer in
        guard let session = peer.session, session.endReason == nil, !peer.isSilent(at: now),
          peer.gauges.lastReceived.map({ $0.duration(to: now) >= silence }) ?? true
        else { return nil }
        peer.liveness.probed(at: now, lastReceived: peer.gauges.lastReceived)
        session.probeSoon()
        return peer.id
      }
    }

    /// Returns true if the answer of any of these peers is awaited.
    func awaitsAnswer(of ids: [Int]) -> Bool {
      let now = clock()
      return ids.contains { peers[$0].map { $0.isProbeUnanswered && !$0.isSilent(at: now) } ?? false }
    }

    /// Sends a message between tunnels, from any event loop. Without room it is lost.
    static func sendControl(_ message: TunnelMessage, on session: Session) {
      let bytes = message.bytes
      _ = offer(to: session, bytes: bytes.count) { run throws(SendError) in try run.append(bytes.rawBytes) }
    }
  }
#endif

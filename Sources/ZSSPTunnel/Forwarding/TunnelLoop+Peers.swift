// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import Synchronization
  import ZSSP
  import ZSSPNIO

  /// Peers and their sessions.
  extension TunnelLoop {
    /// Returns whether a session is to be followed from here on. When both sides open at once, it comes to us as opened and as taken, as
    /// two objects with one sequence of events, which only one may read.
    func beginFollowing(_ session: SessionPlace) -> Bool { followed.insert(session).inserted }

    /// Records that the session's events have ended.
    func endFollowing(_ session: SessionPlace) { followed.remove(session) }

    /// Has packets for a peer go to this session; those first that waited for it.
    ///
    /// - Returns: what is counted of the peer; nil if there is no such peer any more.
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
      if !waiting.isEmpty { send(waiting, to: peer, session, at: now) }
      return peer.gauges
    }

    /// Takes a peer's session away, and lets the peer be looked for at once.
    func detach(_ id: Int) -> Session? {
      peers[id]?.takeSession()
    }

    /// Records what happened to a session.
    func record(_ event: Event, of session: SessionPlace, _ id: Int) {
      guard let peer = peers[id], peer.session?.place == session else { return }
      switch event {
      case .moved(_, _, let address):
        peer.address = address
        if let session = peer.session { movePath(of: peer, session, at: clock()) }
      case .rekeyed(_, let chainLength):
        peer.chainLength = chainLength
        peer.lastHandshake = clock()
      case .ended(_, let reason): peer.endSession(reason, at: clock())
      default: break
      }
    }

    // MARK: Opening

    /// What is needed to open a session.
    struct DialPlan: Sendable {
      let configuration: PeerConfiguration
      let lastAddress: Address?
      /// How many attempts have failed since the peer was there, which says which of its addresses is next.
      let failures: Int
    }

    /// Returns what is needed to open a session with a peer; nil if there is no such peer any more.
    func plan(_ id: Int) -> DialPlan? {
      peers[id].map {
        DialPlan(configuration: $0.configuration, lastAddress: $0.address, failures: $0.backoff.failures)
      }
    }

    /// Records the end of an attempt that led to a session, or was not made.
    func stopDialing(_ id: Int) {
      guard let peer = peers[id] else { return }
      peer.isDialing = false
      if peer.hasSession { peer.liveness.restart() }
    }

    /// Every so many failures in a row it is said again that a peer does not answer: about once an hour.
    private static let failuresPerLine = 30

    /// Records that an attempt failed. What waits for a session that is not wanted any more is dropped.
    ///
    /// - Returns: whether to say so: of each kind of failure once, and then rarely.
    func dialingFailed(_ id: Int, _ failure: DialFailure) -> Bool {
      guard let peer = peers[id] else { return false }
      let now = clock()
      peer.isDialing = false
      // The peer may have opened a session meanwhile, or be back in the one that there is.
      guard !peer.hasSession || peer.isSilent else {
        peer.liveness.restart()
        return false
      }
      peer.backoff.failed(at: now)
      if !peer.isInDemand(at: now), !peer.waiting.isEmpty {
        drops.count(.queueFull, peer.waiting.packetCount)
        _ = peer.waiting.takeAll()
      }
      // Silence says less than a reason that was found out before.
      if failure.kind != .noAnswer || peer.failure == nil { peer.failure = failure }
      let isNew = peer.saidFailures.insert(failure.kind).inserted
      return isNew || peer.backoff.failures.isMultiple(of: Self.failuresPerLine)
    }

    /// Records that a peer came without its ratchet, unless there is a session with it.
    func recordLostRatchet(_ id: Int, _ failure: DialFailure) {
      guard let peer = peers[id], !peer.hasSession || peer.isSilent else { return }
      peer.failure = failure
    }

    /// Whether a session is wanted with a peer that has none, or one that does not answer.
    private func isWanted(_ peer: TunnelPeer, at now: Instant) -> Bool {
      guard peer.canBeReached else { return false }
      // Packets may wait although no session is being opened: the one that came of it has ended before they were sent.
      if !peer.waiting.isEmpty || peer.isInDemand(at: now) { return true }
      return peer.configuration.keepalive != nil && !peer.configuration.endpoints.isEmpty
    }

    /// Does what is to be done once a second.
    func tick() {
      let now = clock()
      for peer in peers.values {
        // Its end may not have been told yet.
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

    /// Probes the peers that were not heard of for a while.
    ///
    /// - Returns: the numbers of those that were probed.
    func probe(unheardFor silence: Duration) -> [Int] {
      let now = clock()
      return peers.values.compactMap { peer in
        guard let session = peer.session, session.endReason == nil, !peer.isSilent,
          peer.gauges.lastReceived.map({ $0.duration(to: now) >= silence }) ?? true
        else { return nil }
        peer.liveness.probed(at: now)
        session.probeSoon()
        return peer.id
      }
    }

    /// Whether any of these peers has not answered yet.
    func hasSilent(among ids: [Int]) -> Bool { ids.contains { peers[$0]?.isSilent ?? false } }

    /// Sends a message of the tunnel's own, from any event loop. Without room it is lost.
    static func say(_ message: TunnelMessage, on session: Session) {
      let bytes = message.bytes
      _ = offer(session, bytes.count) { run throws(SendError) in try run.append(bytes.rawBytes) }
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import Synchronization
  import ZSSP
  import ZSSPNIO

  /// Peers and their sessions.
  extension TunnelLoop {
    /// Sets who there is, and whose addresses are whose. Peers that stay keep their sessions.
    ///
    /// - Returns: the sessions of those who do not.
    @discardableResult
    func setPeers(_ configurations: [Int: PeerConfiguration]) -> [Session] {
      let former = peers.values.filter { configurations[$0.id] == nil }
      for peer in former { peers[peer.id] = nil }
      table = PrefixTable()
      for (id, configuration) in configurations {
        if let peer = peers[id] {
          peer.configuration = configuration
        } else {
          peers[id] = TunnelPeer(id: id, configuration)
        }
        for prefix in configuration.allowedIPs { table.insert(prefix, id) }
      }
      return former.compactMap(\.session)
    }

    /// Says whether a session is to be followed from here on. When both sides open at once, it comes to us as opened and as taken, as two
    /// objects with one sequence of events, which only one may read.
    func beginFollowing(_ session: SessionPlace) -> Bool { followed.insert(session).inserted }

    /// The session's events have ended.
    func endFollowing(_ session: SessionPlace) { followed.remove(session) }

    /// From now on packets for a peer go to this session; those first that waited for it.
    ///
    /// - Returns: what is counted of the peer; nil if there is no such peer any more.
    func attach(_ session: Session, to id: Int) -> PeerGauges? {
      guard let peer = peers[id] else { return nil }
      guard session.endReason == nil else { return peer.gauges }
      peer.session = session
      peer.liveness.restart()
      peer.address = session.establishment.address
      peer.lastHandshake = TunnelClock.now
      peer.chainLength = session.establishment.chainLength
      peer.gauges.lastReceived.store(TunnelClock.now, ordering: .relaxed)
      let waiting = peer.waiting.takeAll()
      if !waiting.isEmpty { send(waiting, to: peer, session, at: TunnelClock.now) }
      return peer.gauges
    }

    /// Something happened to a session.
    func note(_ event: Event, of session: SessionPlace, _ id: Int) {
      guard let peer = peers[id], peer.session?.place == session else { return }
      switch event {
      case .moved(_, _, let address): peer.address = address
      case .rekeyed(_, let chainLength): (peer.chainLength, peer.lastHandshake) = (chainLength, TunnelClock.now)
      case .ended: peer.session = nil
      default: break
      }
    }

    /// How long after the last packet for a peer somebody tries to reach it.
    private static let interest = 60 * TunnelClock.second

    /// What whoever opens a session needs to know.
    struct DialPlan: Sendable {
      let configuration: PeerConfiguration
      let lastAddress: Address?
      /// Whether there is reason to go on.
      let isWanted: Bool
    }

    /// What to do about a peer without an answer; nil if there is no such peer.
    func plan(_ id: Int) -> DialPlan? {
      guard let peer = peers[id] else { return nil }
      let lastReceived = peer.gauges.lastReceived.load(ordering: .relaxed)
      // The peer may have opened a session meanwhile, or be back in the one that there is.
      let isThere = peer.session != nil && !peer.liveness.isSilent(lastReceived: lastReceived)
      let hasReason = peer.configuration.keepalive != nil || TunnelClock.now - peer.lastDemand < Self.interest
      let isWanted = hasReason && !isThere
      return DialPlan(configuration: peer.configuration, lastAddress: peer.address, isWanted: isWanted)
    }

    /// Nobody opens a session to this peer any more. With `forgets`, what waits for one is dropped.
    func stopDialing(_ id: Int, forgets: Bool) {
      guard let peer = peers[id] else { return }
      peer.isDialing = false
      if forgets {
        drops.count(.queueFull, peer.waiting.packetCount)
        _ = peer.waiting.takeAll()
      }
      if peer.session != nil { peer.liveness.restart() }
    }

    /// What is to be done once a second.
    func tick() {
      let now = TunnelClock.now
      for peer in peers.values {
        // Its end may not have been told yet.
        if peer.session?.endReason != nil { peer.session = nil }
        guard let session = peer.session else {
          // Who keeps a way open opens it.
          if peer.configuration.keepalive != nil, peer.configuration.endpoint != nil { dial(peer) }
          continue
        }
        let lastReceived = peer.gauges.lastReceived.load(ordering: .relaxed)
        let keepalive = peer.configuration.keepalive
        switch peer.liveness.check(at: now, lastReceived: lastReceived, keepalive: keepalive) {
        case .nothing: break
        case .keepalive: Self.say(.keepalive, on: session)
        case .question: Self.say(.question(peer.gauges.asked(at: now)), on: session)
        case .newSession:
          Self.say(.question(peer.gauges.asked(at: now)), on: session)
          if peer.configuration.endpoint != nil || peer.address != nil { dial(peer) }
        }
      }
    }

    /// Sends a message of the tunnel's own, from any event loop. Without room it is lost: whoever asks asks again.
    static func say(_ message: TunnelMessage, on session: Session) {
      let bytes = message.bytes
      _ = offer(session, bytes.count) { run throws(SendError) in try run.append(bytes.rawBytes) }
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Synchronization
  import ZSSP
  import ZSSPNIO

  /// What the paths to peers take, and what follows from it.
  struct PathPolicy: Sendable {
    /// The largest datagram in bytes.
    var datagram = 0
    /// Whether smaller ones are found out where a path takes no larger ones.
    var discovers = false
    /// Whether a packet of the device fits into one datagram, and should on every path.
    var keepsPacketsWhole = false
    /// What datagrams have in the differentiated services field.
    var dscp = DSCPPolicy.fixed(0)

    /// Nothing is found out.
    init() {}

    init(_ plan: NetworkPlan, _ configuration: TunnelConfiguration) {
      datagram = plan.datagram
      discovers = configuration.discoversPathMTU
      keepsPacketsWhole = !plan.splitsPackets
      dscp = configuration.dscp
    }
  }

  /// The largest packets for a peer.
  struct PacketLimits: Sendable {
    let v4: Int
    /// IPv6 asks for 1280 on every link. What does not fit into one datagram travels in two.
    let v6: Int

    subscript(_ packet: RawSpan) -> Int { packet[byte: 0] >> 4 == 6 ? v6 : v4 }
  }

  extension TunnelLoop {
    /// A peer has another session, or is elsewhere: what the path takes is not known.
    func beginPath(of peer: TunnelPeer, _ session: Session, at now: Instant) {
      let probes = peer.path.restart(at: now)
      // Another session has no limit yet. It gets one before anything is sent on it.
      peer.datagramLimit = nil
      usePath(of: peer, session)
      send(probes, to: peer, session)
    }

    /// A peer seems to be elsewhere. Its old path says nothing of the new one, on which nothing is sent for this.
    func movePath(of peer: TunnelPeer, _ session: Session, at now: Instant) {
      peer.path.moved(at: now)
      usePath(of: peer, session)
    }

    /// Does what is to be done once a second.
    func tickPath(of peer: TunnelPeer, _ session: Session, at now: Instant) {
      let probes = peer.path.tick(
        at: now, lastReceived: peer.gauges.lastReceived, isInUse: peer.isInDemand(at: now),
        sendsFullSize: peer.hasSentFullSize)
      peer.hasSentFullSize = false
      send(probes, to: peer, session)
      usePath(of: peer, session)
    }

    /// A peer has answered a probe.
    func probeAnswered(_ number: UInt64, by id: Int, on place: SessionPlace) {
      guard let peer = peers[id], let session = peer.session, session.place == place else { return }
      peer.path.answered(number, at: clock())
      // The endpoint may have lowered the limit by itself, where a device took less for a while.
      peer.datagramLimit = nil
      usePath(of: peer, session)
    }

    private func send(_ probes: [PathMTUSearch.Probe], to peer: TunnelPeer, _ session: Session) {
      guard !probes.isEmpty else { return }
      peer.gauges.probed(peer.path.outstanding)
      for probe in probes {
        let bytes = TunnelMessage.bytes(of: probe)
        // Without room it is lost, and another follows.
        _ = Self.offer(session, bytes.count) { run throws(SendError) in try run.appendProbe(bytes.rawBytes) }
      }
    }

    /// Has the session's datagrams, and the packets for the peer, fit the path.
    private func usePath(of peer: TunnelPeer, _ session: Session) {
      if peer.datagramLimit != peer.path.limit {
        peer.datagramLimit = peer.path.limit
        session.requestDatagramLimit(peer.path.limit)
      }
      let packet = policy.keepsPacketsWhole ? peer.path.narrowLimit.map { $0 - NetworkPlan.messageOverhead } : nil
      peer.gauges.pathLimit.store(packet ?? 0, ordering: .relaxed)
    }

    /// The largest packets that a peer takes.
    func limits(_ peer: TunnelPeer) -> PacketLimits {
      let limit = min(mtu, peer.configuration.mtu ?? mtu)
      let path = peer.gauges.pathLimit.load(ordering: .relaxed)
      guard path > 0 else { return PacketLimits(v4: limit, v6: limit) }
      return PacketLimits(v4: min(limit, path), v6: min(limit, max(path, NetworkPlan.smallestV6MTU)))
    }
  }

  /// What is done to a packet on its way to a peer.
  struct PacketTreatment: Sendable {
    let limits: PacketLimits
    let dscp: DSCPPolicy
    /// Whether the peer brings back what the network says of congestion.
    let copiesCongestion: Bool

    /// Sets the class of the packet's datagrams, and has it say what the path takes. Returns the largest packet of its kind.
    @inline(__always)
    func apply(to packet: inout MutableRawSpan, _ header: VirtioHeader, _ run: inout SendRun) -> Int {
      let inner = TrafficClass.of(packet.bytes)
      run.trafficClass = TrafficClass.outer(of: inner, dscp, copiesCongestion: copiesCongestion)
      let limit = limits[packet.bytes]
      if header.segmentation == .none, SegmentSizeClamp.opensConnection(packet.bytes) {
        SegmentSizeClamp.clamp(&packet, limit: limit, isPartial: header.isPartial)
      }
      return limit
    }
  }

  extension TunnelLoop {
    /// What is done to packets for a peer.
    func treatment(_ peer: TunnelPeer) -> PacketTreatment {
      PacketTreatment(limits: limits(peer), dscp: policy.dscp, copiesCongestion: peer.path.isAnswered)
    }
  }
#endif

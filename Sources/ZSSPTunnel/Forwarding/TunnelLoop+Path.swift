// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Synchronization
  import ZSSP
  import ZSSPNIO

  /// The settings for the paths to peers.
  struct PathPolicy: Sendable {
    /// The size in bytes of the largest datagram.
    var datagram = 0
    /// True to search the MTU of each path.
    var discovers = false
    /// True if a packet of the device fits into one datagram, and should do so on every path.
    var keepsPacketsWhole = false
    /// The differentiated services code point of datagrams.
    var dscp = DSCPPolicy.fixed(0)

    /// Makes settings without a search.
    init() {}

    init(_ plan: NetworkPlan, configuration: TunnelConfiguration) {
      datagram = plan.datagram
      discovers = configuration.discoversPathMTU
      keepsPacketsWhole = !plan.splitsPackets
      dscp = configuration.dscp
    }
  }

  /// The sizes in bytes of the largest packets for a peer.
  struct PacketLimits: Sendable {
    let v4: Int
    /// IPv6 requires 1280 on every link. A packet that does not fit into one datagram travels in
    /// two.
    let v6: Int

    subscript(_ packet: RawSpan) -> Int { packet[byte: 0] >> 4 == 6 ? v6 : v4 }
  }

  extension TunnelLoop {
    /// Called when a peer has a new session, whose path is unknown.
    func beginPath(of peer: TunnelPeer, _ session: Session, at now: Instant) {
      let probes = peer.path.restart(at: now)
      // A new session has no limit yet. It is set before anything is sent on it.
      peer.datagramLimit = nil
      usePath(of: peer, session)
      send(probes, to: peer, on: session)
    }

    /// Called when a peer's address has changed. The old path says nothing about the new one.
    /// Nothing is sent on the new path for this.
    func movePath(of peer: TunnelPeer, _ session: Session, at now: Instant) {
      peer.path.moved(at: now)
      usePath(of: peer, session)
    }

    /// Called once a second.
    func tickPath(of peer: TunnelPeer, _ session: Session, at now: Instant) {
      let probes = peer.path.tick(
        at: now, lastReceived: peer.gauges.lastReceived, isInUse: peer.isInDemand(at: now),
        sendsFullSize: peer.hasSentFullSize)
      peer.hasSentFullSize = false
      send(probes, to: peer, on: session)
      usePath(of: peer, session)
    }

    /// Called when a peer has answered a path probe.
    func probeAnswered(_ number: UInt64, by id: Int, on place: SessionPlace) {
      guard let peer = peers[id], let session = peer.session, session.place == place else { return }
      peer.path.answered(number, at: clock())
      // The endpoint may have lowered the limit by itself, where a device took less for a while.
      peer.datagramLimit = nil
      usePath(of: peer, session)
    }

    private func send(_ probes: [PathMTUSearch.Probe], to peer: TunnelPeer, on session: Session) {
      guard !probes.isEmpty else { return }
      peer.gauges.probed(peer.path.outstanding)
      for probe in probes {
        let bytes = TunnelMessage.bytes(of: probe)
        // Without room the probe is lost, and another follows.
        _ = Self.offer(to: session, bytes: bytes.count) { run throws(SendError) in try run.appendProbe(bytes.rawBytes) }
      }
    }

    /// Applies the path's limit to the session's datagrams and the peer's packets.
    private func usePath(of peer: TunnelPeer, _ session: Session) {
      if peer.datagramLimit != peer.path.limit {
        peer.datagramLimit = peer.path.limit
        session.requestDatagramLimit(peer.path.limit)
      }
      let packet = policy.keepsPacketsWhole ? peer.path.narrowLimit.map { $0 - NetworkPlan.messageOverhead } : nil
      peer.gauges.pathLimit.store(packet ?? 0, ordering: .relaxed)
    }

    /// Returns the sizes of the largest packets for a peer.
    func limits(_ peer: TunnelPeer) -> PacketLimits {
      let limit = min(mtu, peer.configuration.mtu ?? mtu)
      let path = peer.gauges.pathLimit.load(ordering: .relaxed)
      guard path > 0 else { return PacketLimits(v4: limit, v6: limit) }
      return PacketLimits(v4: min(limit, path), v6: min(limit, max(path, NetworkPlan.smallestV6MTU)))
    }
  }

  /// The changes to packets for a peer before they are sent.
  struct PacketTreatment: Sendable {
    let limits: PacketLimits
    let dscp: DSCPPolicy
    /// True if the peer evaluates congestion marks, so that they may be copied.
    let copiesCongestion: Bool

    /// Sets the traffic class of the packet's datagrams, and clamps TCP's segment size to the path.
    /// Returns the largest packet size of its family.
    @inline(__always)
    func apply(to packet: inout MutableRawSpan, header: VirtioHeader, run: inout SendRun) -> Int {
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
    /// Returns the treatment of packets for a peer.
    func treatment(_ peer: TunnelPeer) -> PacketTreatment {
      PacketTreatment(limits: limits(peer), dscp: policy.dscp, copiesCongestion: peer.path.isAnswered)
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import Synchronization
  import ZSSP
  import ZSSPNIO
  import ZSSPSwiftCrypto

  /// The status of a tunnel.
  extension Tunnel {
    /// The silence after which a peer is probed for the report.
    private static let believed = Duration.seconds(5)
    /// The number of steps of ``answerStep`` for which answers are awaited: a little longer than
    /// ``Liveness/silentAfter``.
    private static let answerSteps = 125
    private static let answerStep = Duration.milliseconds(20)

    /// Returns the status. Peers with a session that have been silent for a while are probed first,
    /// because the end of a session may have been missed.
    func report() async -> TunnelReport {
      let asked = await onLoop { $0.probe(unheardFor: Self.believed) } ?? []
      for _ in 0..<Self.answerSteps {
        guard !asked.isEmpty, await onLoop({ $0.awaitsAnswer(of: asked) }) == true else { break }
        // A cancelled sleep only shortens the wait.
        try? await Task.sleep(for: Self.answerStep)
      }
      let statistics = await endpoint.statistics()
      let peers = await onLoop { loop in
        let now = loop.clock()
        return loop.peers.values.sorted { $0.id < $1.id }.map { TunnelReport.Peer($0, at: now) }
      }
      let transport = statistics.transport
      return TunnelReport(
        interface: device.name, publicKey: endpoint.publicKey.text, listen: "\(endpoint.localAddress.text)",
        mtu: plan.mtu, peers: peers ?? [],
        drops: Self.notZero(TunnelDropReason.allCases.map { ($0.rawValue, drops.value($0)) }),
        protocolDrops: Self.notZero(DropReason.allCases.map { ("\($0)", statistics.endpoint[$0]) }),
        transportDrops: Self.notZero(transport.drops),
        systemDrops: Self.notZero([
          ("device", device.dropped), ("socket", transport.unreadDatagrams), ("hellos", transport.unreadHellos),
        ]),
        sendErrors: transport.sendErrors + transport.unsentDatagrams)
    }

    private static func notZero(_ counts: [(String, UInt64)]) -> [String: UInt64] {
      Dictionary(uniqueKeysWithValues: counts.filter { $0.1 > 0 })
    }
  }

  extension TunnelReport.Peer {
    /// The status of a peer. Must be made on the tunnel's event loop.
    init(_ peer: TunnelPeer, at now: Instant) {
      let gauges = peer.gauges
      func seconds(since moment: Instant?) -> Double? { moment.map { $0.duration(to: now).inSeconds } }
      let state = Self.state(of: peer, at: now)
      self.init(
        name: peer.configuration.name, publicKey: peer.configuration.publicKey.text,
        endpoint: peer.address.map { SocketAddress($0).text } ?? peer.configuration.endpoints.first?.description,
        allowedIPs: peer.configuration.allowedIPs.map(\.description),
        state: state, reason: state == .unreachable ? peer.failure?.text : nil,
        lastHandshakeSeconds: seconds(since: peer.lastHandshake),
        lastReceivedSeconds: seconds(since: gauges.lastReceived),
        ratchetLength: peer.chainLength, packetsSent: gauges.packetsSent.load(ordering: .relaxed),
        bytesSent: gauges.bytesSent.load(ordering: .relaxed),
        packetsReceived: gauges.packetsReceived.load(ordering: .relaxed),
        bytesReceived: gauges.bytesReceived.load(ordering: .relaxed),
        latencyMilliseconds: gauges.roundTrip.map { $0.inSeconds * 1000 }, pathMTU: peer.pathMTU,
        waiting: peer.waiting.packetCount)
    }

    static func state(of peer: TunnelPeer, at now: Instant) -> TunnelReport.PeerState {
      if peer.hasSession, !peer.isSilent(at: now) { return .up }
      if peer.failure != nil { return .unreachable }
      if peer.isDialing { return .opening }
      return peer.hasSession ? .silent : .idle
    }
  }

  extension Duration {
    /// The duration in seconds.
    fileprivate var inSeconds: Double { Double(nanoseconds) / 1e9 }
  }

  extension TransportStatistics {
    /// The drops by name. Unsent datagrams have their own field in reports, and a tunnel's messages
    /// always have a reader.
    fileprivate var drops: [(String, UInt64)] {
      [
        ("unusableSources", unusableSources), ("handOversDropped", handOversDropped),
        ("incomingRefused", incomingRefused), ("incomingExpired", incomingExpired),
        ("publicKeyWorkRefused", publicKeyWorkRefused), ("storeRequestsRefused", storeRequestsRefused),
        ("storeRequestsTimedOut", storeRequestsTimedOut),
      ]
    }
  }
#endif

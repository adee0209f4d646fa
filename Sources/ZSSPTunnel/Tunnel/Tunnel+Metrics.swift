// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOConcurrencyHelpers
  import ZSSP
  import ZSSPNIO
  public import ZSSPOpenMetrics
  import ZSSPSwiftCrypto

  /// The metrics of a tunnel.
  extension Tunnel {
    /// Returns the metrics of the tunnel, its peers and its endpoint; nil when the tunnel is
    /// ending.
    ///
    /// Nothing is sent for this. So the state of a peer from which nothing has come for a while may
    /// be out of date, unlike in the report for the control socket.
    public func metrics() async -> [MetricFamily]? {
      guard !isEnding.load(ordering: .relaxed) else { return nil }
      let peers = await onLoop { loop in
        let now = loop.clock()
        return loop.peers.values.sorted { $0.id < $1.id }.map { PeerSample($0, at: now) }
      }
      guard let peers else { return nil }
      let statistics = await endpoint.statistics()
      let labels = [MetricLabel("interface", interface)]
      let families = PeerFamilies(
        states: TunnelReport.PeerState.allCases.map(\.rawValue),
        dropReasons: TunnelDropReason.ofPeers.map(\.rawValue), labels: labels)
      return own(labels) + families.make(peers) + EndpointFamilies.make(statistics, labels: labels)
        + [
          EndpointFamilies.systemDrops(
            statistics.transport, more: [(queue: "device", count: device.dropped)], labels: labels)
        ]
    }

    private func own(_ labels: [MetricLabel]) -> [MetricFamily] {
      var info = MetricFamily("zssp_tunnel", kind: .info, help: "The address and the public key of the tunnel.")
      info.add(
        .count(1),
        labels: labels + [
          MetricLabel("listen", endpoint.localAddress.text), MetricLabel("public_key", publicKey.text),
        ])
      var dropped = MetricFamily(
        "zssp_tunnel_drops", kind: .counter, help: "IP packets that the tunnel dropped, by reason.")
      for reason in TunnelDropReason.allCases {
        dropped.add(.count(drops.value(reason)), labels: labels + [MetricLabel("reason", reason.rawValue)])
      }
      return [
        info,
        .gauge(
          "zssp_tunnel_mtu", unit: .bytes, help: "The MTU of the tunnel's device.", value: plan.mtu, labels: labels),
        dropped,
      ]
    }

    // MARK: Serving

    /// Serves metrics.
    ///
    /// - Throws: ``TunnelError/setUp(step:reason:)``.
    func startMetrics(on address: MetricsAddress) async throws(TunnelError) {
      let group: UInt32? =
        if let name = registry.configuration.statusGroup { try TunnelGroup(name).number } else { nil }
      do throws(MetricsServerError) {
        let server = try await MetricsServer.start(on: address, socketGroup: group) { [weak self] in
          await self?.metrics()
        }
        metricsServer.withLockedValue { $0 = server }
        if let warning = address.warning { log.warning("metrics: \(warning)") }
        log.info("metrics are served on \(server.address)", ["zssp.address": "\(server.address)"])
      } catch {
        throw .setUp(step: "metrics", reason: "\(error)")
      }
    }

    /// Serves metrics on another address, or not any more. If that fails, they are served on the
    /// former address as before, and the next reload tries again.
    func changeMetrics(
      from former: MetricsAddress?, to next: MetricsAddress?, _ result: inout TunnelReloadResult
    ) async {
      guard former != next else { return }
      let server = metricsServer.withLockedValue { $0 }
      do throws(TunnelError) {
        if let next {
          // Two sockets cannot listen on one port, if one of them is for all addresses.
          let isShared = former?.sharesPort(with: next) ?? false
          if isShared { await server?.stop() }
          do throws(TunnelError) { try await startMetrics(on: next) } catch {
            if isShared, let former { try await startMetrics(on: former) }
            throw error
          }
        } else {
          metricsServer.withLockedValue { $0 = nil }
        }
        await server?.stop()
        var configuration = registry.configuration
        configuration.metrics = next
        registry.adopt(configuration)
        result.changed.append("metrics")
      } catch {
        result.failures.append("\(error)")
      }
    }
  }

  extension MetricsAddress {
    /// Returns true if sockets on both addresses may be in each other's way.
    fileprivate func sharesPort(with other: MetricsAddress) -> Bool {
      guard case .tcp(let address) = self, case .tcp(let next) = other else { return false }
      return address.port == next.port
    }
  }

  extension PeerSample {
    /// The state of a peer. Must be made on the tunnel's event loop.
    init(_ peer: TunnelPeer, at now: Instant) {
      let gauges = peer.gauges
      self.init(
        label: peer.configuration.label, publicKey: peer.configuration.publicKey.text,
        state: TunnelReport.Peer.state(of: peer, at: now).rawValue)
      packetsSent = gauges.packetsSent.load(ordering: .relaxed)
      bytesSent = gauges.bytesSent.load(ordering: .relaxed)
      packetsReceived = gauges.packetsReceived.load(ordering: .relaxed)
      bytesReceived = gauges.bytesReceived.load(ordering: .relaxed)
      handshakeAge = peer.lastHandshake.map { $0.duration(to: now).seconds }
      receivedAge = gauges.lastReceived.map { $0.duration(to: now).seconds }
      roundTrip = gauges.roundTrip?.seconds
      pathMTU = peer.pathMTU
      ratchetLength = peer.chainLength
      sessions = peer.counts.sessions
      rekeys = peer.counts.rekeys
      moves = peer.counts.moves
      failedAttempts = peer.counts.failures
      waiting = peer.waiting.packetCount
      for reason in TunnelDropReason.ofPeers { drops[reason.rawValue] = gauges.drops.value(reason) }
    }
  }
#endif

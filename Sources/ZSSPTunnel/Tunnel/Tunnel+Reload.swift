// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import ZSSP

  /// The result of a ``Tunnel/reload(_:)``.
  public struct TunnelReloadResult: Sendable, Equatable {
    /// The applied changes, as text.
    public var changed: [String] = []
    /// The configuration keys that differ and take effect only after a restart of the tunnel.
    public var needsRestart: [String] = []
    /// The changes that the system refused, as text.
    public var failures: [String] = []
  }

  extension Tunnel {
    /// Applies another configuration to the running tunnel: peers, addresses, routes, hooks.
    /// Sessions of remaining peers continue. What requests on the control socket changed in a peer
    /// stays, unless `next` differs in the same value from the last configuration. The log file is
    /// reopened if it was moved away.
    ///
    /// - Returns: The changes, and what could not be applied.
    /// - Throws: ``TunnelError/refused(_:)`` if the tunnel is ending, or a peer has its own key.
    public func reload(_ next: TunnelConfiguration) async throws(TunnelError) -> TunnelReloadResult {
      guard !isEnding.load(ordering: .relaxed) else { throw .refused("the tunnel is ending") }
      try next.checkPeers(besides: publicKey)
      await turn.begin()
      defer { turn.end() }
      let next = device.isIPv6Off ? TunnelParts.withoutIPv6(next) : next
      let former = registry.configuration
      var result = TunnelReloadResult()
      result.needsRestart = Self.fixedKeys(from: former, to: next)
      var configuration = former
      configuration.hooks = next.hooks
      configuration.addresses = next.addresses
      if former.hooks != next.hooks { result.changed.append("hooks") }
      registry.adopt(configuration)
      let change = registry.reload(next.peers)
      result.failures += await settle { network, routes in
        network.apply(addresses: next.addresses, routes: routes)
      }
      if former.addresses != next.addresses { result.changed.append("addresses") }
      await changeMetrics(from: former.metrics, to: next.metrics, &result)
      result.changed += Self.differences(from: change.former, to: change.current)
      do throws(TunnelError) { try logFile?.reopen() } catch { result.failures.append("\(error)") }
      return result
    }

    private static func differences(from former: PeerTable, to current: PeerTable) -> [String] {
      let added = current.configurations.keys.filter { former.configurations[$0] == nil }.count
      let removed = former.configurations.keys.filter { current.configurations[$0] == nil }.count
      let changed = current.configurations.filter { id, peer in
        former.configurations[id].map { $0 != peer } ?? false
      }.count
      return [(added, "added"), (changed, "changed"), (removed, "removed")].compactMap { count, verb in
        count == 0 ? nil : "\(count) peer\(count == 1 ? "" : "s") \(verb)"
      }
    }

    /// Returns the keys that differ and were used at the start, for the device, the socket or the
    /// endpoint.
    static func fixedKeys(from former: TunnelConfiguration, to next: TunnelConfiguration) -> [String] {
      [
        ("interface", former.interface != next.interface), ("mtu", former.mtu != next.mtu),
        ("datagram", former.datagram != next.datagram),
        ("path-mtu", former.discoversPathMTU != next.discoversPathMTU), ("dscp", former.dscp != next.dscp),
        ("listen", former.listen != next.listen),
        ("mode", former.flags != next.flags), ("profile", former.profile != next.profile),
        ("challenge", former.challenge != next.challenge), ("shards", former.shards != next.shards),
        ("rekey-after", former.rekeyAfter != next.rekeyAfter), ("offload", former.offload != next.offload),
        ("queue-length", former.queueLength != next.queueLength), ("busy-poll", former.busyPoll != next.busyPoll),
        ("table", former.table != next.table), ("fwmark", former.mark != next.mark),
        ("bind-device", former.bindDevice != next.bindDevice), ("dns", former.dns != next.dns),
        ("search", former.search != next.search), ("user", former.user != next.user),
        ("status-group", former.statusGroup != next.statusGroup),
      ].compactMap { $0.1 ? $0.0 : nil }
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import ZSSP
  import ZSSPNIO

  /// What a tunnel makes of the system before it runs.
  extension Tunnel {
    /// Where the peers are whose endpoints are known. Where everything goes through the tunnel, each must be found now, for questions for its
    /// name would go through the tunnel too. Those that are not found now are looked for again when they are needed.
    ///
    /// - Returns: the addresses by the numbers of the peers.
    static func resolve(_ configuration: TunnelConfiguration, _ log: Log) async throws(TunnelError) -> [Int: Address] {
      var addresses: [Int: Address] = [:]
      let local: SocketAddress
      do { local = try SocketAddress(hostAndPort: configuration.listen) } catch { throw .endpoint(error) }
      for (id, peer) in configuration.peers.enumerated() {
        guard let text = peer.endpoint else { continue }
        do {
          addresses[id] = Address(try await SocketAddress.resolve(hostAndPort: text, reachableFrom: local))
        } catch {
          let takesAll = configuration.routes && configuration.peers.flatMap(\.allowedIPs).contains { $0.length == 0 }
          guard !takesAll else { throw .setUp(step: "cannot find endpoint \(text)", reason: "\(error)") }
          log("endpoint \(text): \(error)")
        }
      }
      return addresses
    }

    static func bind(
      _ configuration: TunnelConfiguration, _ endpoint: EndpointConfiguration, _ store: any RatchetStore
    ) async throws(TunnelError) -> UDPEndpoint {
      if let busyPoll = configuration.busyPoll {
        SystemEventLoopGroup.singleton.busyPolling = .milliseconds(Int64(busyPoll))
      }
      do throws(UDPError) {
        let address = try SocketAddress(hostAndPort: configuration.listen)
        return try await UDPEndpoint.bind(
          host: address.ipAddress ?? "", port: address.port ?? 0, configuration: endpoint, store: store,
          options: .tunnel(shards: configuration.shards))
      } catch {
        throw .endpoint(error)
      }
    }

    /// Makes the device and the routes ready.
    ///
    /// - Returns: the routes around the tunnel.
    static func setUpNetwork(
      _ configuration: TunnelConfiguration, _ plan: NetworkPlan, _ addresses: [Int: Address], _ folder: RunFolder,
      _ device: TunDevice
    ) throws(TunnelError) -> [RouteAround] {
      var routes: [RouteAround] = []
      for (_, address) in addresses.sorted(by: { $0.key < $1.key }) {
        guard let route = try NetworkPlan.routeAround(address.ip, configuration) else { continue }
        try folder.remember(routes + [route])
        let step = "cannot make a route around the tunnel to \(route)"
        let result = try SystemCommand.ip(route.arguments("add"), step: step)
        guard result.exitCode == 0 else {
          // Whatever is there is not ours to remove.
          try folder.remember(routes)
          throw .setUp(step: step, reason: result.errors)
        }
        routes.append(route)
      }
      try SystemCommand.batch(
        plan.deviceLines(configuration, device: device.name), step: "cannot set up the device \(device.name)")
      return routes
    }
  }
#endif

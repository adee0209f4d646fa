// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPTunnel
  import Foundation
  import Logging
  import NIOCore
  import ZSSP
  import ZSSPNIO

  /// The parts of a tunnel, which are made before it runs.
  struct TunnelParts {
    let registry: PeerRegistry
    let plan: NetworkPlan
    let folder: RunFolder
    let ledger: UndoLedger
    let routing: RoutingPlan
    let claim: FolderClaim
    let device: TunDevice
    let endpoint: UDPEndpoint
    let store: any RatchetStore
    let loop: NIOLoopBound<TunnelLoop>
    let paths: [NIOLoopBound<InboundPath>]
    let drops: DropCounters
    let wanted: AsyncStream<Int>
    /// The initial addresses of the peers, by number.
    let places: [Int: IPAddress]
    /// The initial routes to the peers around the tunnel.
    let routes: [EndpointRoute]

    /// The maximum delay of the start by name resolution.
    private static let namePatience = Duration.seconds(2)

    /// Makes the parts of a tunnel.
    ///
    /// - Throws: ``TunnelError``.
    static func make(
      _ wanted: TunnelConfiguration, endpoint endpointConfiguration: EndpointConfiguration, store: any RatchetStore,
      folder: RunFolder, claim: FolderClaim, device: TunDevice, logger: Logger?, log: TunnelJournal
    ) async throws(TunnelError) -> TunnelParts {
      let configuration = withoutIPv6(wanted, device: device, log: log)
      let registry = PeerRegistry(configuration)
      let addresses = try await findPeers(of: configuration, log: log)
      let prepared = try device.isPrepared ? PreparedDevice(device.name) : nil
      let pathMTU = NetworkPlan.pathMTU(to: Array(addresses.values))
      let plan = NetworkPlan(prepared?.sizing(configuration) ?? configuration, pathMTU: pathMTU)
      try plan.check()
      var endpointConfiguration = endpointConfiguration
      endpointConfiguration.settings.mtu = plan.datagram
      let ledger = UndoLedger(folder)
      let routing = try RoutingPlan(configuration, device: device.name, marks: prepared == nil)
      if let prepared {
        try PreparedDevice.check(configuration, routing: routing)
        try NetworkPlan.check(
          prepared, configuration: configuration, addresses: Array(addresses.values), routing: routing, pathMTU: pathMTU
        )
        .forEach { log.warning($0) }
      }
      let endpoint = try await bind(
        configuration, endpoint: endpointConfiguration, store: store, routing: routing, registry: registry,
        logger: log.endpointLogger(logger), log: log)
      do {
        let routes =
          try prepared == nil
          ? setUpNetwork(configuration, plan: plan, addresses: addresses, ledger: ledger, routing: routing) : []
        routing.strictDevices(configuration).forEach { log.warning($0) }
        let drops = DropCounters()
        let (stream, continuation) = AsyncStream<Int>.makeStream()
        let policy = PathPolicy(plan, configuration: configuration)
        let (loop, paths) = try await makeLoops(
          endpoint, device: device, plan: plan, policy: policy, drops: drops, wanted: continuation)
        return TunnelParts(
          registry: registry, plan: plan, folder: folder, ledger: ledger, routing: routing, claim: claim,
          device: device, endpoint: endpoint,
          store: store, loop: loop, paths: paths, drops: drops, wanted: stream, places: addresses.mapValues(\.ip),
          routes: routes)
      } catch {
        await endpoint.close()
        throw error
      }
    }

    /// Returns the configuration without IPv6 addresses and routes if the system has IPv6 disabled
    /// for the device.
    private static func withoutIPv6(
      _ configuration: TunnelConfiguration, device: TunDevice, log: TunnelJournal
    ) -> TunnelConfiguration {
      guard configuration.carriesV6, device.isIPv6Off else { return configuration }
      log.warning(
        "IPv6 is off on this system: its addresses and routes are left out; "
          + "'sysctl net.ipv6.conf.default.disable_ipv6=0' before the start switches it on")
      return withoutIPv6(configuration)
    }

    /// Returns the configuration without IPv6 addresses and routes.
    static func withoutIPv6(_ configuration: TunnelConfiguration) -> TunnelConfiguration {
      var reduced = configuration
      reduced.addresses.removeAll { $0.address.family == .v6 }
      for index in reduced.peers.indices { reduced.peers[index].allowedIPs.removeAll { $0.address.family == .v6 } }
      return reduced
    }

    private static func makeLoops(
      _ endpoint: UDPEndpoint, device: TunDevice, plan: NetworkPlan, policy: PathPolicy, drops: DropCounters,
      wanted: AsyncStream<Int>.Continuation
    ) async throws(TunnelError) -> (NIOLoopBound<TunnelLoop>, [NIOLoopBound<InboundPath>]) {
      let loops = endpoint.eventLoops
      do {
        let loop = try await loops[0].submit {
          NIOLoopBound(
            TunnelLoop(device, mtu: plan.mtu, policy: policy, on: loops[0], drops: drops, wanted: wanted),
            eventLoop: loops[0])
        }.get()
        var paths: [NIOLoopBound<InboundPath>] = []
        for eventLoop in loops {
          paths.append(
            try await eventLoop.submit {
              NIOLoopBound(InboundPath(to: device, table: PrefixTable(), drops: drops), eventLoop: eventLoop)
            }.get())
        }
        return (loop, paths)
      } catch {
        throw .setUp(step: "cannot use the event loop", reason: "\(error)")
      }
    }

    /// Returns the addresses of the peers with endpoints, by number. All names are resolved
    /// concurrently. Those that take long are resolved again at each attempt to open a session.
    ///
    /// If routes of the main table lead everything through the tunnel, all names must be resolved
    /// now, because later DNS queries would go through the tunnel, too.
    private static func findPeers(
      of configuration: TunnelConfiguration, log: TunnelJournal
    ) async throws(TunnelError) -> [Int: Address] {
      let takesAll =
        configuration.table == .main && configuration.peers.flatMap(\.allowedIPs).contains { $0.length == 0 }
      let local = configuration.listen.candidates[0]
      let wanted = configuration.peers.enumerated().filter { !$0.element.endpoints.isEmpty }
      let limit: Duration? = takesAll ? nil : namePatience
      let found = await withTaskGroup(of: (id: Int, result: Result<SocketAddress, DialFailure>)?.self) { group in
        for (id, peer) in wanted {
          group.addTask {
            do throws(DialFailure) {
              let addresses = try await PeerEndpoint.addresses(of: peer.endpoints, reachableFrom: local)
              return (id, .success(addresses[0]))
            } catch {
              return (id, .failure(error))
            }
          }
        }
        if let limit {
          group.addTask {
            // Cancelled when all addresses are found.
            try? await Task.sleep(for: limit)
            return nil
          }
        }
        var found: [Int: Result<SocketAddress, DialFailure>] = [:]
        while found.count < wanted.count, case let next?? = await group.next() { found[next.id] = next.result }
        group.cancelAll()
        return found
      }
      var addresses: [Int: Address] = [:]
      for (id, peer) in wanted {
        switch found[id] {
        case .success(let address): addresses[id] = Address(address)
        case .failure(let failure) where takesAll:
          throw .setUp(step: "cannot find an endpoint of \(peer.label)", reason: failure.text)
        case .failure(let failure):
          log.notice("\(peer.label): \(failure.text)", ["zssp.peer": "\(peer.publicKey.text)"])
        case nil:
          let names = peer.endpoints.map(\.description).joined(separator: ", ")
          log.notice("\(peer.label): no answer yet about \(names)", ["zssp.peer": "\(peer.publicKey.text)"])
        }
      }
      return addresses
    }

    /// Binds the socket to the first address that the system supports.
    private static func bind(
      _ configuration: TunnelConfiguration, endpoint: EndpointConfiguration, store: any RatchetStore,
      routing: RoutingPlan, registry: PeerRegistry, logger: Logger?, log: TunnelJournal
    ) async throws(TunnelError) -> UDPEndpoint {
      var options = UDPOptions.tunnel(configuration, mark: routing.mark)
      options.nameOfPeer = { registry.name(of: $0) }
      if let device = configuration.bindDevice, if_nametoindex(device) == 0 {
        throw .setUp(step: "bind-device \"\(device)\"", reason: "there is no network device of this name now")
      }
      var failure: UDPError?
      for address in configuration.listen.candidates {
        do {
          let bound = try await UDPEndpoint.bind(
            host: address.ipAddress ?? "", port: address.port ?? 0, configuration: endpoint, store: store,
            options: options, logger: logger)
          if failure != nil { log.warning("this system has no IPv6; listening on IPv4 only") }
          return bound
        } catch .bindFailed(let host, let port, .unsupportedFamily) {
          failure = .bindFailed(host: host, port: port, reason: .unsupportedFamily)
        } catch .bindFailed(let host, let port, .addressNotAvailable) {
          failure = .bindFailed(host: host, port: port, reason: .addressNotAvailable)
        } catch {
          throw .endpoint(error)
        }
      }
      throw .endpoint(failure ?? .closed)
    }

    /// Sets up the device and the routes.
    ///
    /// - Returns: The routes around the tunnel.
    /// - Throws: ``TunnelError/setUp(step:reason:)``.
    private static func setUpNetwork(
      _ configuration: TunnelConfiguration, plan: NetworkPlan, addresses: [Int: Address], ledger: UndoLedger,
      routing: RoutingPlan
    ) throws(TunnelError) -> [EndpointRoute] {
      var routes: [EndpointRoute] = []
      for (_, address) in addresses.sorted(by: { $0.key < $1.key }) {
        guard let route = try NetworkPlan.routeAround(address.ip, configuration: configuration), !routes.contains(route)
        else {
          continue
        }
        try ledger.remember(routes + [route])
        let step = "cannot make a route around the tunnel to \(route)"
        let result = try SystemCommand.ip(route.arguments("add"), step: step)
        guard result.exitCode == 0 else {
          // An existing route is not ours to remove.
          try ledger.remember(routes)
          throw .setUp(step: step, reason: result.reason)
        }
        routes.append(route)
      }
      try SystemCommand.batch(
        plan.deviceLines(configuration, routing: routing), step: "cannot set up the device \(routing.device)")
      try routing.change(from: [], to: routing.rules(configuration), ledger)
      return routes
    }
  }

  extension UDPOptions {
    /// Options with small buffers: what a tunnel cannot forward at once should be lost early, so
    /// that TCP notices.
    static func tunnel(_ configuration: TunnelConfiguration, mark: UInt32?) -> UDPOptions {
      var options = UDPOptions()
      options.shards = configuration.shards
      // The tunnel has its own probes, so that an idle one is silent; see ``Liveness``.
      options.keepAlive = nil
      options.idleTimeout = nil
      options.fragmentation = configuration.discoversPathMTU ? .forbidden : .allowed
      options.reportsTrafficClass = true
      // The tunnel logs its sessions itself, with the names of peers.
      options.logsSessionsAsDetail = true
      let device = configuration.bindDevice
      options.configureSocket = { descriptor in
        if let mark, case let error = czssp_socket_mark(descriptor, mark), error != 0 { return -error }
        if let device, case let error = czssp_socket_device(descriptor, device), error != 0 { return -error }
        return 0
      }
      // About the device's queue full of small packets, which a sender that catches up sends at
      // once.
      options.receiveBufferSize = 2 << 20
      options.sendBufferSize = 1 << 20
      return options
    }
  }
#endif

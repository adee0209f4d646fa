// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPTunnel
  import Foundation
  public import Logging
  import NIOConcurrencyHelpers
  import NIOCore
  import Synchronization
  public import ZSSP
  import ZSSPNIO
  import ZSSPOpenMetrics

  /// A private network between this machine and its peers. The IP packets of a network device
  /// travel in sessions.
  ///
  /// ```swift
  /// func run(
  ///   _ configuration: TunnelConfiguration, _ endpoint: EndpointConfiguration, _ store: any RatchetStore
  /// ) async throws {
  ///   let tunnel = try await Tunnel.start(configuration, endpoint: endpoint, store: store)
  ///   try await tunnel.run()
  /// }
  /// ```
  public final class Tunnel: Sendable {
    /// Reads the configuration again, applies it with ``Tunnel/reload(_:)``, and returns a text for
    /// the user.
    public typealias Reloader = @Sendable (Tunnel) async throws(TunnelError) -> String

    let registry: PeerRegistry
    let loop: NIOLoopBound<TunnelLoop>
    let endpoint: UDPEndpoint
    let store: any RatchetStore
    let drops: DropCounters
    let plan: NetworkPlan
    let log: TunnelJournal
    let device: TunDevice
    let endpointRoutes: EndpointRoutes
    let routing: RoutingPlan
    /// The addresses and routes of the device.
    let network: DeviceNetwork
    let ledger: UndoLedger
    let paths: [NIOLoopBound<InboundPath>]
    let reloader: Reloader?
    /// The log file, if requested with `keepsLog`.
    public let logFile: TunnelLog?
    private let folder: RunFolder
    private let claim: FolderClaim
    private let wanted: AsyncStream<Int>
    /// The server of metrics; nil for none.
    let metricsServer: NIOLockedValueBox<MetricsServer?> = NIOLockedValueBox(nil)
    private let servers: NIOLockedValueBox<[ControlServer]> = NIOLockedValueBox([])
    /// Serialises changes of the running tunnel.
    let turn = Turn()
    /// Possible losses of the tunnel's routes, rules and addresses.
    let networkChanges: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)
    /// True when the tunnel is ending, and refuses requests.
    let isEnding = Atomic(false)
    private let stopping: (stream: AsyncStream<TunnelError?>, continuation: AsyncStream<TunnelError?>.Continuation)

    /// The name of the network device.
    public var interface: String { device.name }
    /// This side's public key.
    public var publicKey: PublicKey { endpoint.publicKey }

    private init(_ parts: TunnelParts, logFile: TunnelLog?, reloader: Reloader?, log: TunnelJournal) {
      registry = parts.registry
      loop = parts.loop
      paths = parts.paths
      endpoint = parts.endpoint
      store = parts.store
      drops = parts.drops
      plan = parts.plan
      device = parts.device
      wanted = parts.wanted
      folder = parts.folder
      routing = parts.routing
      ledger = parts.ledger
      let configuration = parts.registry.configuration
      network = DeviceNetwork(
        device: parts.device.name, addresses: configuration.addresses,
        routes: parts.routing.routes(configuration), system: IPRoute2(device: parts.device.name))
      claim = parts.claim
      self.log = log
      self.logFile = logFile
      self.reloader = reloader
      endpointRoutes = EndpointRoutes(
        parts.ledger, device: parts.device.name, named: parts.places, routes: parts.routes, registry: parts.registry,
        log: log)
      networkChanges = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
      stopping = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: Starting

    /// Returns true if a tunnel of this name is running or starting on this machine, as far as this
    /// user may know.
    package static func isRunning(_ interface: String) -> Bool {
      RunFolder(interface: interface).isClaimed || ControlClient.isRunning(interface)
    }

    /// Makes the device, its addresses and its routes, and starts to listen.
    ///
    /// Changes that a killed process left are undone first. If a step fails, the completed ones are
    /// undone, and the post-down hooks run.
    ///
    /// - Parameters:
    ///   - configuration: The configuration of the tunnel.
    ///   - endpointConfiguration: The static key, the provider and the settings. The tunnel sets
    ///     the MTU.
    ///   - store: The ratchet store.
    ///   - keepsLog: True to make ``logFile`` in the tunnel's folder. The default is false.
    ///   - reloader: Reads the configuration again when the control socket requests that; nil if
    ///     that is not possible.
    ///   - logger: The logger of the tunnel and its endpoint; nil for none. Sentences for people,
    ///     with metadata. After a change of its level call ``logLevelChanged()``.
    /// - Returns: The tunnel, whose ``run()`` must be called.
    /// - Throws: ``TunnelError``, with the step that failed.
    public static func start(
      _ configuration: TunnelConfiguration, endpoint endpointConfiguration: EndpointConfiguration,
      store: any RatchetStore, keepsLog: Bool = false, reloader: Reloader? = nil, logger: Logger? = nil
    ) async throws(TunnelError) -> Tunnel {
      let log = TunnelJournal(logger, interface: configuration.interface)
      try configuration.checkPeers(besides: endpointConfiguration.staticKey.publicKey)
      let folder = RunFolder(interface: configuration.interface)
      let claim = try folder.claim()
      // Keeps the folder locked until it is cleared.
      defer { withExtendedLifetime(claim) {} }
      let tunnel: Tunnel
      do {
        for hook in configuration.hooks.preUp { try SystemCommand.hook(hook, interface: configuration.interface) }
        let device = try TunDevice(name: configuration.interface, offload: configuration.offload)
        // The folder is locked, so its previous owner has ended.
        folder.undoRemembered().forEach { log.warning($0) }
        let parts = try await TunnelParts.make(
          configuration, endpoint: endpointConfiguration, store: store, folder: folder, claim: claim, device: device,
          logger: logger, log: log)
        let file: TunnelLog? = if keepsLog { try TunnelLog(path: folder.log) } else { nil }
        tunnel = Tunnel(parts, logFile: file, reloader: reloader, log: log)
      } catch {
        folder.undoRemembered().forEach { log.warning($0) }
        folder.clear()
        run(configuration.hooks.postDown, interface: configuration.interface, log: log)
        throw error
      }
      do { try await tunnel.finishStarting(configuration) } catch {
        await tunnel.end()
        throw error
      }
      return tunnel
    }

    /// Starts the readers and the control socket, runs the post-up hooks, and drops privileges.
    private func finishStarting(_ configuration: TunnelConfiguration) async throws(TunnelError) {
      // Each reader of the peers runs on its event loop.
      registry.publish { [loop] table in loop.eventLoop.execute { loop.value.adopt(table) } }
      for path in paths { registry.publish { table in path.eventLoop.execute { path.value.adopt(table) } } }
      do {
        let stopping = stopping.continuation
        try await loop.eventLoop.submit { [loop] in try loop.value.start { stopping.yield($0) } }.get()
      } catch {
        throw .setUp(step: "cannot read the device \(device.name)", reason: "\(error)")
      }
      await watchNetwork()
      try listen(configuration)
      if let address = configuration.metrics { try await startMetrics(on: address) }
      try NameServers(configuration)?.apply(to: device.name, ledger)
      for hook in configuration.hooks.postUp { try SystemCommand.hook(hook, interface: device.name) }
      if let user = configuration.user { try TunnelUser(user).become(folder) }
    }

    /// Starts to respond to requests.
    private func listen(_ configuration: TunnelConfiguration) throws(TunnelError) {
      let control = try ControlServer(path: folder.control, group: nil) { [weak self] request in
        await self?.answer(request) ?? .refused("the tunnel is ending")
      } answered: { [weak self] request in
        // Only after the response was written, because the process may end sooner.
        if request == .down { self?.stop() }
      }
      servers.withLockedValue { $0.append(control) }
      guard let name = configuration.statusGroup else { return }
      let group = try TunnelGroup(name)
      try folder.open()
      let status = try ControlServer(
        path: folder.status, group: group.number, requestLimit: ControlSocket.statusRequestLimit
      ) { [weak self] request in
        guard request.isForStatus else { return .refused("only 'show' is answered for the group \"\(name)\"") }
        return await self?.answer(request) ?? .refused("the tunnel is ending")
      } answered: { _ in
      }
      servers.withLockedValue { $0.append(status) }
    }

    // MARK: Running

    /// Runs until the task is cancelled, `down` is requested, or the socket or the device fails
    /// permanently. Then undoes everything.
    ///
    /// - Throws: ``TunnelError/endpoint(_:)`` or ``TunnelError/deviceFailed(interface:reason:)``.
    public func run() async throws(TunnelError) {
      let failure = await withTaskGroup(of: TunnelError?.self) { group in
        group.addTask { await self.acceptSessions() }
        group.addTask { await self.warnOfDowngrades() }
        group.addTask { await self.dialWanted(self.wanted) }
        group.addTask {
          await self.restoreNetwork()
          return nil
        }
        group.addTask {
          for await reason in self.stopping.stream { return reason }
          return nil
        }
        let first = await group.next() ?? nil
        group.cancelAll()
        return first
      }
      await end()
      if let failure { throw failure }
    }

    /// Makes the endpoint use the logger's current level for what it logs about dropped datagrams.
    public func logLevelChanged() { endpoint.logLevelChanged() }

    /// Makes ``run()`` return.
    func stop() { stopping.continuation.yield(nil) }

    private func end() async {
      let hooks = registry.configuration.hooks
      Self.run(hooks.preDown, interface: device.name, log: log)
      // Requests are refused until everything is undone. Then the control socket disappears, which
      // shows the end to clients.
      isEnding.store(true, ordering: .relaxed)
      do { try await loop.eventLoop.submit { [loop] in loop.value.stop() }.get() } catch { log.error("\(error)") }
      await endpoint.close()
      // The device disappears with its last reference, but its routes and addresses must be gone
      // when this returns.
      do { try removeDevice() } catch { log.error("\(error)") }
      await endpointRoutes.end().forEach { log.warning($0) }
      await metricsServer.withLockedValue { $0 }?.stop()
      for server in servers.withLockedValue({ $0 }) { server.stop() }
      folder.clear()
      Self.run(hooks.postDown, interface: device.name, log: log)
    }

    /// Runs the hooks of the end. A failure is logged, and does not stop the others.
    private static func run(_ hooks: [String], interface: String, log: TunnelJournal) {
      for hook in hooks {
        do { try SystemCommand.hook(hook, interface: interface) } catch { log.error("\(error)") }
      }
    }

    private func removeDevice() throws(TunnelError) {
      // A prepared device stays, and belongs to the administrator.
      guard !device.isPrepared else { return }
      let result = try SystemCommand.ip(["link", "delete", "dev", device.name], step: "cannot remove \(device.name)")
      // Without privileges the device stays until the process ends.
      if result.exitCode != 0, geteuid() == 0 {
        throw .setUp(step: "cannot remove \(device.name)", reason: result.reason)
      }
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPTunnel
  import Foundation
  import NIOConcurrencyHelpers
  import NIOCore
  import Synchronization
  public import ZSSP
  import ZSSPNIO
  import ZSSPSwiftCrypto

  /// A private network between this machine and its peers: IP packets of a network device travel in sessions.
  ///
  /// ```swift
  /// let tunnel = try await Tunnel.start(configuration, endpoint: endpointConfiguration, store: store)
  /// try await tunnel.run()
  /// ```
  public final class Tunnel: Sendable {
    /// Where people read of what happens.
    public typealias Log = @Sendable (String) -> Void

    let loop: NIOLoopBound<TunnelLoop>
    let endpoint: UDPEndpoint
    let paths: [NIOLoopBound<InboundPath>]
    let drops: DropCounters
    let plan: NetworkPlan
    let log: Log
    let device: TunDevice
    let roster: NIOLockedValueBox<Roster>
    /// Where the tunnel says what happens, if that was asked for.
    public let logFile: TunnelLog?
    let routesAround: RoutesAround
    private let folder: RunFolder
    private let claim: FolderClaim
    private let wanted: AsyncStream<Int>
    private let control: NIOLockedValueBox<ControlServer?> = NIOLockedValueBox(nil)
    /// Whether it is too late to ask for anything.
    let isEnding = Atomic(false)
    private let stopping: (stream: AsyncStream<TunnelError?>, continuation: AsyncStream<TunnelError?>.Continuation)

    /// The name of the network device.
    public var interface: String { device.name }

    private init(_ parts: Parts, _ logFile: TunnelLog?, log: @escaping Log) {
      (loop, endpoint, paths, drops) = (parts.loop, parts.endpoint, parts.paths, parts.drops)
      (plan, device, wanted) = (parts.plan, parts.device, parts.wanted)
      (folder, claim) = (parts.folder, parts.claim)
      self.log = log
      self.logFile = logFile
      let roster = NIOLockedValueBox(Roster(parts.configuration))
      self.roster = roster
      routesAround = RoutesAround(
        parts.folder, device: parts.device.name, parts.places, parts.routes, roster: { roster.withLockedValue { $0 } },
        log: log)
      stopping = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    private struct Parts {
      let configuration: TunnelConfiguration
      let plan: NetworkPlan
      let folder: RunFolder
      let claim: FolderClaim
      let device: TunDevice
      let endpoint: UDPEndpoint
      let loop: NIOLoopBound<TunnelLoop>
      let paths: [NIOLoopBound<InboundPath>]
      let drops: DropCounters
      let wanted: AsyncStream<Int>
      /// Where the peers are, and the routes to them around the tunnel.
      let places: [Int: IPAddress]
      let routes: [RouteAround]
    }

    // MARK: Starting

    /// Makes the device, its addresses and its routes, and begins to listen.
    ///
    /// What a process before left, which was killed, is undone first. If a step fails, those before it are undone, with the hooks of the end.
    ///
    /// - Parameters:
    ///   - configuration: what the tunnel is like.
    ///   - endpoint: the static key, the provider and the settings. The MTU is set here.
    ///   - store: where ratchets are kept.
    ///   - keepsLog: whether to have a file for ``logFile``, in the folder of the tunnel.
    ///   - log: is told what happens, in lines for people. No secret is among them.
    /// - Throws: ``TunnelError``, with the step that failed.
    public static func start(
      _ configuration: TunnelConfiguration, endpoint endpointConfiguration: EndpointConfiguration,
      store: any RatchetStore, keepsLog: Bool = false, log: @escaping Log
    ) async throws(TunnelError) -> Tunnel {
      let folder = RunFolder(interface: configuration.interface)
      let claim = try folder.claim()
      // Nobody else may have the folder before it is cleared.
      defer { withExtendedLifetime(claim) {} }
      let tunnel: Tunnel
      do {
        for hook in configuration.hooks.preUp { try SystemCommand.hook(hook, interface: configuration.interface) }
        let device = try TunDevice(name: configuration.interface, offload: configuration.offload)
        // The folder is ours: whoever had it before is gone.
        folder.undoRemembered().forEach(log)
        let parts = try await start(configuration, endpointConfiguration, store, folder, claim, device, log)
        let file: TunnelLog? = if keepsLog { try TunnelLog(path: folder.log) } else { nil }
        tunnel = Tunnel(parts, file) { line in
          log(line)
          file?.bound()
        }
      } catch {
        folder.undoRemembered().forEach(log)
        folder.clear()
        run(configuration.hooks.postDown, configuration.interface, log)
        throw error
      }
      do { try await tunnel.finishStarting(configuration) } catch {
        await tunnel.end()
        throw error
      }
      return tunnel
    }

    private static func start(
      _ configuration: TunnelConfiguration, _ endpointConfiguration: EndpointConfiguration, _ store: any RatchetStore,
      _ folder: RunFolder, _ claim: FolderClaim, _ device: TunDevice, _ log: @escaping Log
    ) async throws(TunnelError) -> Parts {
      let addresses = try await resolve(configuration, log)
      let plan = NetworkPlan(configuration, pathMTU: NetworkPlan.pathMTU(to: Array(addresses.values)))
      try plan.check()
      var endpointConfiguration = endpointConfiguration
      endpointConfiguration.settings.mtu = plan.datagram
      let endpoint = try await bind(configuration, endpointConfiguration, store)
      let routes: [RouteAround]
      do { routes = try setUpNetwork(configuration, plan, addresses, folder, device) } catch {
        await endpoint.close()
        throw error
      }

      let drops = DropCounters()
      let (stream, continuation) = AsyncStream<Int>.makeStream()
      let loops = endpoint.eventLoops
      let peers = Dictionary(uniqueKeysWithValues: configuration.peers.enumerated().map { ($0.offset, $0.element) })
      do {
        let loop = try await loops[0].submit {
          let loop = TunnelLoop(device, mtu: plan.mtu, on: loops[0], drops, wanted: continuation)
          loop.setPeers(peers)
          return NIOLoopBound(loop, eventLoop: loops[0])
        }.get()
        var paths: [NIOLoopBound<InboundPath>] = []
        for eventLoop in loops {
          paths.append(
            try await eventLoop.submit {
              NIOLoopBound(InboundPath(device, PrefixTable(peers), drops), eventLoop: eventLoop)
            }.get())
        }
        return Parts(
          configuration: configuration, plan: plan, folder: folder, claim: claim, device: device,
          endpoint: endpoint, loop: loop, paths: paths, drops: drops, wanted: stream,
          places: addresses.mapValues(\.ip), routes: routes)
      } catch {
        throw .setUp(step: "cannot use the event loop", reason: "\(error)")
      }
    }

    /// What follows when everything is in place: whoever asks is answered, hooks run, and privileges are given up.
    private func finishStarting(_ configuration: TunnelConfiguration) async throws(TunnelError) {
      do {
        let stopping = stopping.continuation
        try await loop.eventLoop.submit { [loop] in try loop.value.start { stopping.yield($0) } }.get()
      } catch {
        throw .setUp(step: "cannot read the device \(device.name)", reason: "\(error)")
      }
      let server = try ControlServer(path: folder.control) { [weak self] request in
        await self?.answer(request) ?? .refused("the tunnel is ending")
      } answered: { [weak self] request in
        // Not before: the process may end faster than the answer is written.
        if request == .down { self?.stop() }
      }
      control.withLockedValue { $0 = server }
      for hook in configuration.hooks.postUp { try SystemCommand.hook(hook, interface: device.name) }
      if let user = configuration.user { try TunnelUser(user).become(folder) }
    }

    // MARK: Running

    /// Runs until the task is cancelled, somebody says `down`, or the socket or the device fails for good; then undoes everything.
    ///
    /// - Throws: ``TunnelError/endpoint(_:)`` or ``TunnelError/deviceFailed(interface:reason:)``.
    public func run() async throws(TunnelError) {
      let failure = await withTaskGroup(of: TunnelError?.self) { group in
        group.addTask { await self.acceptSessions() }
        group.addTask { await self.warnOfDowngrades() }
        group.addTask { await self.dialWanted(self.wanted) }
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

    /// Has ``run()`` return.
    func stop() { stopping.continuation.yield(nil) }

    private func end() async {
      let hooks = roster.withLockedValue(\.configuration.hooks)
      Self.run(hooks.preDown, device.name, log)
      // Who asks is told so until all is undone: then nobody answers, which is how one sees it.
      isEnding.store(true, ordering: .relaxed)
      do { try await loop.eventLoop.submit { [loop] in loop.value.stop() }.get() } catch { log("\(error)") }
      await endpoint.close()
      // The device goes with the last reference to it; its routes and addresses have to be gone when this returns.
      do { try removeDevice() } catch { log("\(error)") }
      await routesAround.end().forEach(log)
      control.withLockedValue { $0.take() }?.stop()
      folder.clear()
      Self.run(hooks.postDown, device.name, log)
    }

    /// Runs hooks of the end, which goes on whatever becomes of them.
    private static func run(_ hooks: [String], _ interface: String, _ log: Log) {
      for hook in hooks {
        do { try SystemCommand.hook(hook, interface: interface) } catch { log("\(error)") }
      }
    }

    private func removeDevice() throws(TunnelError) {
      let result = try SystemCommand.ip(["link", "delete", "dev", device.name], step: "cannot remove \(device.name)")
      // Without privileges it cannot be removed, and goes when the process ends.
      if result.exitCode != 0, geteuid() == 0 {
        throw .setUp(step: "cannot remove \(device.name)", reason: result.errors)
      }
    }
  }

  extension UDPOptions {
    /// Little is kept that would make packets wait: what a tunnel cannot pass on at once is better lost early, so that TCP notices.
    static func tunnel(shards: Int) -> UDPOptions {
      var options = UDPOptions()
      options.shards = shards
      // As much as the device's queue holds of small packets: a sender that catches up brings them all at once.
      options.receiveBufferSize = 2 << 20
      options.sendBufferSize = 1 << 20
      return options
    }
  }

  extension PrefixTable {
    /// Whose addresses are whose.
    init(_ peers: [Int: PeerConfiguration]) {
      self.init()
      for (id, peer) in peers {
        for prefix in peer.allowedIPs { insert(prefix, id) }
      }
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import Synchronization
  import ZSSP
  import ZSSPNIO
  import ZSSPOpenMetrics
  import ZSSPSwiftCrypto

  /// Responses to requests on the control socket.
  extension Tunnel {
    func answer(_ request: ControlRequest) async -> ControlResponse {
      guard !isEnding.load(ordering: .relaxed) else { return .refused("the tunnel is ending") }
      do throws(TunnelError) {
        switch request {
        case .show: return .report(await report())
        case .metrics(let format):
          guard let families = await metrics() else { throw .refused("the tunnel is ending") }
          return .metrics(Exposition.text(of: families, as: format))
        case .setPeer, .removePeer, .forgetPeer, .enrollPeer:
          await turn.begin()
          defer { turn.end() }
          return .done(try await change(request))
        case .rekey(let key): return .done(try await rekey(key))
        case .reload:
          guard let reloader else { throw .refused("this tunnel was not started from a file") }
          let text = try await reloader(self)
          log.info("reload: \(text)")
          return .done(text)
        // The tunnel ends after this response was written.
        case .down: return .done("going down")
        }
      } catch .refused(let reason) {
        return .refused(reason)
      } catch {
        if request == .reload { log.error("reload: \(error)") }
        return .failed("\(error)")
      }
    }

    /// Executes a request about one peer.
    private func change(_ request: ControlRequest) async throws(TunnelError) -> String {
      switch request {
      case .setPeer(let change): try await set(change)
      case .removePeer(let key): try await remove(key)
      case .forgetPeer(let peer): try await forget(peer)
      case .enrollPeer(let peer, let password): try await enroll(peer, password: password)
      case .show, .metrics, .rekey, .reload, .down: throw .refused("no peer is named")
      }
    }

    // MARK: set

    private func key(_ text: String) throws(TunnelError) -> PublicKey {
      do { return try PublicKey(text: text) } catch { throw .refused("\(text): \(error)") }
    }

    private func set(_ change: ControlRequest.PeerChange) async throws(TunnelError) -> String {
      let key = try key(change.publicKey)
      guard key != publicKey else { throw .refused("\(change.publicKey): is the tunnel's own key") }
      let known = registry.table.peer(key)
      if change.isNew == true, let known {
        throw .refused("\(known.label): is a peer already; 'zssp tunnel set' changes it")
      }
      var peer = known ?? PeerConfiguration(publicKey: key)
      if let name = change.name {
        if let mistake = PeerConfiguration.mistake(inName: name, of: key) { throw .refused("name: \(mistake)") }
        peer.name = name
      }
      var address: Address?
      if let text = change.endpoint {
        let endpoint: PeerEndpoint
        do throws(EndpointTextError) { endpoint = try PeerEndpoint(text) } catch {
          throw error.isOfSystem ? .incomplete("endpoint \(error)") : .refused("endpoint \(error)")
        }
        address = try await self.address(of: endpoint)
        peer.endpoints = [endpoint]
      }
      if let keepalive = change.keepalive {
        guard (0...65_535).contains(keepalive) else { throw .refused("keepalive \(keepalive): must be 0 to 65535") }
        peer.keepalive = keepalive == 0 ? nil : .seconds(keepalive)
      }
      if let texts = change.allowedIPs { peer.allowedIPs = try prefixes(texts, of: key) }
      let failures = await changePeers { $0.set(peer) }
      // An explicitly set endpoint gets a route, whichever peer owns its address.
      if let address, let id = registry.table.id(of: key) { await endpointRoutes.name(address.ip, for: id) }
      return try Self.done(known == nil ? "added" : "changed", besides: failures)
    }

    /// Returns the first address of an endpoint.
    private func address(of endpoint: PeerEndpoint) async throws(TunnelError) -> Address? {
      do throws(DialFailure) {
        let local = self.endpoint.localAddress
        return Address(try await PeerEndpoint.addresses(of: [endpoint], reachableFrom: local)[0])
      } catch {
        throw .refused("endpoint \(endpoint): \(error.text)")
      }
    }

    private func prefixes(_ texts: [String], of key: PublicKey) throws(TunnelError) -> [IPPrefix] {
      let peers = registry.table.configurations.values
      var prefixes: [IPPrefix] = []
      for text in texts {
        guard let prefix = IPPrefix(text), prefix == prefix.network else {
          throw .refused("allowed IPs \(text): must be like 10.0.0.0/8 or 2001:db8::/32")
        }
        let owner = peers.first { $0.publicKey != key && $0.allowedIPs.contains(prefix) }
        if let owner { throw .refused("\(prefix) belongs to \(owner.name ?? owner.publicKey.text)") }
        if !prefixes.contains(prefix) { prefixes.append(prefix) }
      }
      return prefixes
    }

    private func remove(_ text: String) async throws(TunnelError) -> String {
      let key = try peer(text).peer.publicKey
      return try Self.done("removed", besides: await changePeers { _ = $0.remove(key) })
    }

    /// Changes the peers, and then the routes. A removed peer is removed even if its routes cannot
    /// be changed: the process may have dropped its privileges.
    ///
    /// - Returns: The errors.
    private func changePeers(_ body: (inout PeerTable) -> Void) async -> [String] {
      registry.change(body)
      let failures = await settle { network, routes in network.apply(routes: routes) }
      failures.forEach { log.error($0) }
      return failures
    }

    /// Returns the text about a change of a peer.
    ///
    /// - Throws: ``TunnelError/incomplete(_:)`` if routes could not be changed.
    private static func done(_ text: String, besides failures: [String]) throws(TunnelError) -> String {
      guard !failures.isEmpty else { return text }
      throw .incomplete(
        "the peer was \(text), but not all routes: \(failures.joined(separator: "; ")); "
          + "'zssp tunnel reload' tries it again")
    }

    /// Applies the consequences of a change of peers: closes the sessions of removed peers, and
    /// changes the routes.
    ///
    /// - Parameter apply: Changes the device's network for these routes, and returns the errors.
    /// - Returns: The errors.
    func settle(_ apply: (DeviceNetwork, [DeviceRoute]) -> [String]) async -> [String] {
      for session in await onLoop({ $0.takeOrphans() }) ?? [] { await session.close() }
      // The change may put an address behind the tunnel, or take it out.
      await endpointRoutes.settle()
      let current = registry.configuration
      var failures = apply(network, routing.routes(current))
      do throws(TunnelError) {
        try routing.change(from: ledger.rules, to: routing.rules(current), ledger)
      } catch {
        failures.append("\(error)")
      }
      return failures
    }

    // MARK: rekey

    private func rekey(_ text: String?) async throws(TunnelError) -> String {
      let key: PublicKey? = if let text { try peer(text).peer.publicKey } else { nil }
      let sessions = await onLoop { loop in
        loop.peers.values.filter { key == nil || $0.configuration.publicKey == key }.compactMap(\.session)
      }
      var begun = 0
      for session in sessions ?? [] where await session.rekey() { begun += 1 }
      return "\(begun) of \(sessions?.count ?? 0) sessions"
    }
  }
#endif

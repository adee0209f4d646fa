// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Foundation
  import NIOCore
  import Synchronization
  import ZSSP
  import ZSSPNIO
  import ZSSPSwiftCrypto

  /// Answers for whoever asks over the control socket.
  extension Tunnel {
    func answer(_ request: ControlRequest) async -> ControlResponse {
      guard !isEnding.load(ordering: .relaxed) else { return .refused("the tunnel is ending") }
      do throws(TunnelError) {
        switch request {
        case .show: return .report(await report())
        case .setPeer(let change): return .done(try await set(change))
        case .removePeer(let key): return .done(try await remove(key))
        case .rekey(let key): return .done(try await rekey(key))
        // It ends when this was written.
        case .down: return .done("going down")
        }
      } catch {
        return .refused("\(error)")
      }
    }

    // MARK: show

    /// How the tunnel stands.
    func report() async -> TunnelReport {
      let statistics = await endpoint.statistics()
      let peers = await onLoop { loop in loop.peers.values.sorted { $0.id < $1.id }.map(TunnelReport.Peer.init) }
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

    // MARK: set

    private func key(_ text: String) throws(TunnelError) -> PublicKey {
      do { return try PublicKey(text: text) } catch { throw .refused("\(text): \(error)") }
    }

    private func set(_ change: ControlRequest.PeerChange) async throws(TunnelError) -> String {
      let key = try key(change.publicKey)
      let known = roster.withLockedValue { roster in roster.id(of: key).flatMap { roster.peers[$0] } }
      var peer = known ?? PeerConfiguration(publicKey: key)
      if let name = change.name { peer.name = name }
      var address: Address?
      if let endpoint = change.endpoint {
        (address, peer.endpoint) = (try await self.address(of: endpoint), endpoint)
      }
      if let keepalive = change.keepalive {
        guard (0...65_535).contains(keepalive) else { throw .refused("keepalive \(keepalive): must be 0 to 65535") }
        peer.keepalive = keepalive == 0 ? nil : keepalive
      }
      if let texts = change.allowedIPs { peer.allowedIPs = try prefixes(texts, of: key) }
      let done = await changePeers { roster in roster.set(peer) }
      // Who sets an endpoint wants it to be reached, whoever's address it is.
      if let address, let id = roster.withLockedValue({ $0.id(of: key) }) {
        await routesAround.name(address.ip, for: id)
      }
      return (known == nil ? "added" : "changed") + done
    }

    /// What an endpoint stands for now.
    private func address(of endpoint: String) async throws(TunnelError) -> Address? {
      do {
        return Address(
          try await SocketAddress.resolve(hostAndPort: endpoint, reachableFrom: self.endpoint.localAddress))
      } catch {
        throw .refused("\(error)")
      }
    }

    private func prefixes(_ texts: [String], of key: PublicKey) throws(TunnelError) -> [IPPrefix] {
      var prefixes: [IPPrefix] = []
      for text in texts {
        guard let prefix = IPPrefix(text), prefix == prefix.network else {
          throw .refused("allowed IPs \(text): must be like 10.0.0.0/8 or 2001:db8::/32")
        }
        let owner = roster.withLockedValue { roster in
          roster.peers.values.first { $0.publicKey != key && $0.allowedIPs.contains(prefix) }
        }
        if let owner { throw .refused("\(prefix) belongs to \(owner.name ?? owner.publicKey.text)") }
        prefixes.append(prefix)
      }
      return prefixes
    }

    private func remove(_ text: String) async throws(TunnelError) -> String {
      let key = try key(text)
      guard roster.withLockedValue({ $0.id(of: key) }) != nil else { throw .refused("\(text): no such peer") }
      return "removed" + (await changePeers { roster in _ = roster.remove(key) })
    }

    /// Changes who there is, and then the routes. Whom somebody takes out is out, whatever the system says of routes: it may have no
    /// privileges left to change them.
    ///
    /// - Returns: what to say of routes that could not be changed.
    private func changePeers(_ body: (inout Roster) -> Void) async -> String {
      let (former, next) = roster.withLockedValue { roster in
        let former = roster.routed
        body(&roster)
        return (former, roster.routed)
      }
      let peers = roster.withLockedValue(\.peers)
      for path in paths { path.eventLoop.execute { path.value.table = PrefixTable(peers) } }
      for session in await onLoop({ $0.setPeers(peers) }) ?? [] { await session.close() }
      // Who was not behind the tunnel may be now, and the other way round.
      await routesAround.settle()
      var failures = former.filter { !next.contains($0) }.compactMap { changeRoute("del", $0) }
      failures += next.filter { !former.contains($0) }.compactMap { changeRoute("add", $0) }
      failures.forEach(log)
      return failures.isEmpty ? "" : ", but not all routes: " + failures.joined(separator: "; ")
    }

    /// Adds or removes a route to the device. What is gone already does no harm.
    ///
    /// - Returns: what went wrong.
    private func changeRoute(_ verb: String, _ prefix: IPPrefix) -> String? {
      let route = "route \(verb) \(prefix) dev \(device.name)"
      do throws(TunnelError) {
        let result = try SystemCommand.ip(route.split(separator: " ").map(String.init), step: route)
        if result.exitCode == 0 || (verb == "del" && result.saysGone) { return nil }
        return "ip \(route): \(result.errors.trimmingCharacters(in: .whitespacesAndNewlines))"
      } catch {
        return "\(error)"
      }
    }

    // MARK: rekey

    private func rekey(_ text: String?) async throws(TunnelError) -> String {
      let key: PublicKey? = if let text { try key(text) } else { nil }
      let sessions = await onLoop { loop in
        loop.peers.values.filter { key == nil || $0.configuration.publicKey == key }.compactMap(\.session)
      }
      var begun = 0
      for session in sessions ?? [] where await session.rekey() { begun += 1 }
      return "\(begun) of \(sessions?.count ?? 0) sessions"
    }
  }

  extension TunnelReport.Peer {
    /// How a peer stands. To be made on the tunnel's event loop.
    init(_ peer: TunnelPeer) {
      let gauges = peer.gauges
      func seconds(since moment: Int64) -> Double? {
        moment == 0 ? nil : Double(TunnelClock.now - moment) / Double(TunnelClock.second)
      }
      let roundTrip = gauges.roundTrip.load(ordering: .relaxed)
      self.init(
        name: peer.configuration.name, publicKey: peer.configuration.publicKey.text,
        endpoint: peer.address.map { SocketAddress($0).text } ?? peer.configuration.endpoint,
        allowedIPs: peer.configuration.allowedIPs.map(\.description),
        state: peer.session != nil ? "up" : peer.isDialing ? "opening" : "down",
        lastHandshakeSeconds: peer.lastHandshake.flatMap(seconds),
        lastReceivedSeconds: seconds(since: gauges.lastReceived.load(ordering: .relaxed)),
        ratchetLength: peer.chainLength, packetsSent: gauges.packetsSent.load(ordering: .relaxed),
        bytesSent: gauges.bytesSent.load(ordering: .relaxed),
        packetsReceived: gauges.packetsReceived.load(ordering: .relaxed),
        bytesReceived: gauges.bytesReceived.load(ordering: .relaxed),
        latencyMilliseconds: roundTrip == 0 ? nil : Double(roundTrip) / 1e6, waiting: peer.waiting.packetCount)
    }
  }

  extension TransportStatistics {
    /// What was dropped, by name. What could not be sent has a place of its own in reports, and a tunnel's messages always have a reader.
    fileprivate var drops: [(String, UInt64)] {
      [
        ("unusableSources", unusableSources), ("handOversDropped", handOversDropped),
        ("incomingRefused", incomingRefused), ("incomingExpired", incomingExpired),
        ("publicKeyWorkRefused", publicKeyWorkRefused), ("storeRequestsRefused", storeRequestsRefused),
      ]
    }
  }

  extension SocketAddress {
    /// The address as people write it: 192.0.2.1:4000 or [2001:db8::1]:4000.
    var text: String {
      guard let host = ipAddress, let port else { return description }
      return `protocol` == .inet6 ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
  }
#endif

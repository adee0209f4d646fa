// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Logging
  import NIOCore
  import ZSSP
  import ZSSPNIO
  import ZSSPSwiftCrypto

  /// Accepting, opening and following sessions.
  extension Tunnel {
    /// Accepts the sessions of peers, and refuses strangers.
    func acceptSessions() async -> TunnelError? {
      await withDiscardingTaskGroup { group in
        for await incoming in endpoint.incoming {
          let table = registry.table
          guard let id = table.id(of: incoming.peer) else {
            log.limited(
              .stranger, of: nil, level: .info, "refused: not a peer",
              ["zssp.peer": "\(incoming.peer.text)", "zssp.address": "\(incoming.remoteAddress.text)"])
            incoming.reject()
            continue
          }
          let flags = table.configurations[id]?.flags
          group.addTask { await self.accept(incoming, of: id, flags: flags) }
        }
        group.cancelAll()
      }
      // Only a failure of the socket closes the endpoint before this task is cancelled.
      return Task.isCancelled ? nil : .endpoint(.closed)
    }

    private func accept(_ incoming: IncomingSession, of id: Int, flags: SecurityFlags?) async {
      do {
        let session = try await incoming.accept(flags: flags)
        if await keep(session, of: id) { await follow(session, of: id) }
      } catch {
        log.limited(
          .failedSession, of: id, level: .notice, "no session with \(name(id)), who asked for one: \(error)", fields(id)
        )
      }
    }

    /// Logs peers that came without the ratchet that this side holds. Returns the error if the
    /// socket failed.
    func warnOfDowngrades() async -> TunnelError? {
      for await downgrade in endpoint.downgrades {
        let failure = DialFailure.lostRatchet(chainLength: downgrade.heldChainLength)
        guard let id = registry.table.id(of: downgrade.peer) else {
          log.limited(
            .lostRatchet, of: nil, level: .warning, "\(downgrade.peer.text): \(failure.text)",
            ["zssp.peer": "\(downgrade.peer.text)", "zssp.chain_length": "\(downgrade.heldChainLength)"])
          continue
        }
        log.limited(
          .lostRatchet, of: id, level: .warning, "\(name(id)): \(failure.text)",
          fields(id, ["zssp.chain_length": "\(downgrade.heldChainLength)"]))
        _ = await onLoop { $0.recordLostRatchet(of: id, failure: failure) }
      }
      return Task.isCancelled ? nil : .endpoint(.closed)
    }

    /// Opens the requested sessions.
    func dialWanted(_ wanted: AsyncStream<Int>) async -> TunnelError? {
      await withDiscardingTaskGroup { group in
        for await id in wanted { group.addTask { await self.dial(id) } }
        group.cancelAll()
      }
      return nil
    }

    /// Makes one attempt to open a session. The event loop requests further ones.
    private func dial(_ id: Int) async {
      guard let plan = await onLoop({ $0.plan(id) }) ?? nil else { return }
      var place = ""
      do {
        let places = try await places(of: plan)
        let address = places[plan.failures % places.count]
        place = address.text
        await requestRoute(to: address, plan: plan, peer: id)
        let session = try await endpoint.connect(
          to: address, key: plan.configuration.publicKey, identity: Array(plan.configuration.identity.utf8),
          flags: plan.configuration.flags, timeout: Backoff.patience(failures: plan.failures, places: places.count))
        let isNew = await keep(session, of: id)
        // The attempt is over in any case.
        _ = await onLoop { $0.stopDialing(id) }
        if isNew { await follow(session, of: id) }
      } catch let failure as DialFailure {
        await dialingFailed(to: id, failure: failure)
      } catch let error as UDPError {
        await dialingFailed(
          to: id, failure: DialFailure(error, at: place, knowledge: await knowledge(of: plan.configuration)))
      } catch {
        await dialingFailed(to: id, failure: .noAddress("\(error)"))
      }
    }

    private func dialingFailed(to id: Int, failure: DialFailure) async {
      guard !Task.isCancelled, await onLoop({ $0.dialingFailed(to: id, failure: failure) }) == true else { return }
      log.notice(
        "no session with \(name(id)) yet: \(failure.text)", fields(id, ["zssp.reason": "\(failure.kind)"]))
    }

    /// Returns what this side knows about a peer.
    private func knowledge(of peer: PeerConfiguration) async -> DialFailure.Knowledge {
      let flags = peer.flags ?? registry.configuration.flags
      var holds = false
      if case .pair(let pair, _) = await store.answer(.load(peer: peer.publicKey)) { holds = pair != .empty }
      return DialFailure.Knowledge(insists: flags.contains(.initiatorDisallowsDowngrade), holdsRatchet: holds)
    }

    /// Makes a route for the peer's datagrams around the tunnel.
    private func requestRoute(to address: SocketAddress, plan: TunnelLoop.DialPlan, peer id: Int) async {
      guard let place = Address(address) else { return }
      // The peer may have moved to its last address itself.
      if plan.configuration.endpoints.isEmpty {
        await endpointRoutes.follow(id, to: place.ip)
      } else {
        await endpointRoutes.name(place.ip, for: id)
      }
    }

    /// Returns the peer's addresses: those of its endpoints, or its last one.
    private func places(of plan: TunnelLoop.DialPlan) async throws(DialFailure) -> [SocketAddress] {
      if !plan.configuration.endpoints.isEmpty {
        return try await PeerEndpoint.addresses(
          of: plan.configuration.endpoints, reachableFrom: endpoint.localAddress)
      }
      guard let address = plan.lastAddress else {
        throw .noAddress("it has no endpoint here, and has not been heard of")
      }
      return [SocketAddress(address)]
    }

    /// Makes a session carry packets.
    ///
    /// - Returns: True if the caller must follow it.
    private func keep(_ session: Session, of id: Int) async -> Bool {
      let place = session.place
      guard await onLoop({ $0.beginFollowing(place) }) == true else { return false }
      if await attach(session, to: id) { return true }
      _ = await onLoop { $0.endFollowing(place) }
      return false
    }

    private func attach(_ session: Session, to id: Int) async -> Bool {
      // This precedes the first packet from the session, so that its answer finds the session.
      guard let gauges = await onLoop({ $0.attach(session, to: id) }) ?? nil else {
        await session.close()
        return false
      }
      do {
        let path = paths[session.shard]
        let loop = loop
        let place = session.place
        let handler = try await session.eventLoop.submit {
          PeerInbound(id, gauges: gauges, path: path.value) {
            TunnelLoop.sendControl($0, on: session)
          } probed: { number in
            loop.eventLoop.execute { loop.value.probeAnswered(number, by: id, on: place) }
          }
        }.get()
        try await session.setMessageHandler(handler)
      } catch {
        log.limited(
          .end, of: id, level: .notice, "the session with \(name(id)) ended at once: \(error)", fields(id))
        return false
      }
      await endpointRoutes.follow(id, to: session.establishment.address.ip)
      log.limited(
        .session, of: id, level: .info, "session with \(name(id))",
        fields(
          id,
          [
            "zssp.address": "\(session.remoteAddress.text)",
            "zssp.chain_length": "\(session.establishment.chainLength)",
          ]))
      return true
    }

    /// Follows the events of a session to its end.
    private func follow(_ session: Session, of id: Int) async {
      let place = session.place
      for await event in session.protocolEvents {
        _ = await onLoop { $0.record(event, of: place, peer: id) }
        switch event {
        case .moved(_, _, let address):
          let text = SocketAddress(address).text
          log.limited(
            .move, of: id, level: .info, "\(name(id)) is now at \(text)", fields(id, ["zssp.address": "\(text)"]))
          await endpointRoutes.follow(id, to: address.ip)
        case .ended(_, let reason) where reason != .replaced:
          log.limited(
            .end, of: id, level: .info, "the session with \(name(id)) ended: \(reason)",
            fields(id, ["zssp.reason": "\(reason)"]))
        default: break
        }
      }
      _ = await onLoop { $0.endFollowing(place) }
    }

    /// Runs `body` on the event loop of the device. Returns nil if the loop has shut down.
    func onLoop<Value: Sendable>(_ body: @escaping @Sendable (TunnelLoop) -> Value) async -> Value? {
      let loop = loop
      // This fails only if the event loop has shut down.
      return try? await loop.eventLoop.submit { body(loop.value) }.get()
    }

    /// Returns the metadata of a line about a peer.
    func fields(_ id: Int, _ more: Logger.Metadata = [:]) -> Logger.Metadata {
      var fields = more
      if let peer = registry.table.configurations[id] {
        fields["zssp.peer"] = "\(peer.publicKey.text)"
        if let name = peer.name { fields["zssp.name"] = "\(name)" }
      }
      return fields
    }

    /// Returns the label of a peer for people.
    func name(_ id: Int) -> String {
      registry.table.label(id)
    }
  }
#endif

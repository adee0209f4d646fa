// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import ZSSP
  import ZSSPNIO
  import ZSSPSwiftCrypto

  /// Sessions: taken, opened, watched.
  extension Tunnel {
    /// How long one attempt to open a session goes on before the peer's name is looked up again. Longer than one handshake may take.
    private static let attempt = Duration.seconds(12)
    /// How long to wait when an attempt cannot begin.
    private static let pause = Duration.seconds(1)

    /// Takes the sessions of peers, and of nobody else.
    func acceptSessions() async -> TunnelError? {
      await withDiscardingTaskGroup { group in
        var lines = LineLimit()
        for await incoming in endpoint.incoming {
          let known = roster.withLockedValue { roster in
            roster.id(of: incoming.peer).map { id in (id, roster.peers[id]?.flags) }
          }
          guard let (id, flags) = known else {
            let (isAllowed, omitted) = lines.allows(at: TunnelClock.now)
            if omitted > 0 { log("refused \(omitted) more that are no peers") }
            if isAllowed { log("refused \(incoming.peer.text) from \(incoming.remoteAddress.text): not a peer") }
            incoming.reject()
            continue
          }
          group.addTask { await self.accept(incoming, id, flags) }
        }
        group.cancelAll()
      }
      // Nobody closes the endpoint before this ends but a failure of its socket, unless the task is cancelled.
      return Task.isCancelled ? nil : .endpoint(.closed)
    }

    private func accept(_ incoming: IncomingSession, _ id: Int, _ flags: SecurityFlags?) async {
      do {
        let session = try await incoming.accept(flags: flags)
        if await keep(session, id) { await follow(session, id) }
      } catch {
        log("no session with \(name(id)): \(error)")
      }
    }

    /// Tells of peers that have lost their ratchets.
    func warnOfDowngrades() async -> TunnelError? {
      for await downgrade in endpoint.downgrades {
        log(
          "WARNING: \(downgrade.peer.text) does not have the ratchet that we hold for it (chain length "
            + "\(downgrade.heldChainLength)). Either it lost its store, or someone has its key.")
      }
      return Task.isCancelled ? nil : .endpoint(.closed)
    }

    /// Opens sessions that are asked for.
    func dialWanted(_ wanted: AsyncStream<Int>) async -> TunnelError? {
      await withDiscardingTaskGroup { group in
        for await id in wanted { group.addTask { await self.dial(id) } }
        group.cancelAll()
      }
      return nil
    }

    /// Tries to open a session as long as somebody has reason to want it.
    private func dial(_ id: Int) async {
      var wasTried = false
      while !Task.isCancelled, let plan = await onLoop({ $0.plan(id) }) ?? nil, !wasTried || plan.isWanted {
        wasTried = true
        do throws(UDPError) {
          let address = try await address(of: plan)
          if let place = Address(address) {
            // Where the peer was last it may have moved by itself.
            if plan.configuration.endpoint == nil {
              await routesAround.follow(id, to: place.ip)
            } else {
              await routesAround.name(place.ip, for: id)
            }
          }
          let session = try await endpoint.connect(
            to: address, key: plan.configuration.publicKey, identity: Array(plan.configuration.identity.utf8),
            flags: plan.configuration.flags, timeout: Self.attempt)
          let isNew = await keep(session, id)
          // Whatever became of it, this attempt is over: whoever needs another session asks for it.
          _ = await onLoop { $0.stopDialing(id, forgets: false) }
          if isNew { await follow(session, id) }
          return
        } catch {
          log("no session with \(name(id)) yet: \(error)")
          // It is cut short only by the end of the task, which the loop looks at.
          try? await Task.sleep(for: Self.pause)
        }
      }
      _ = await onLoop { $0.stopDialing(id, forgets: true) }
    }

    /// Where the peer is: what its name stands for now, or else where it was last.
    private func address(of plan: TunnelLoop.DialPlan) async throws(UDPError) -> SocketAddress {
      if let text = plan.configuration.endpoint {
        return try await SocketAddress.resolve(hostAndPort: text, reachableFrom: endpoint.localAddress)
      }
      guard let address = plan.lastAddress else {
        throw .invalidAddress("", reason: "nobody knows where the peer is")
      }
      return SocketAddress(address)
    }

    /// Has a session carry packets.
    ///
    /// - Returns: whether it is to be followed.
    private func keep(_ session: Session, _ id: Int) async -> Bool {
      let place = session.place
      guard await onLoop({ $0.beginFollowing(place) }) == true else { return false }
      if await attach(session, id) { return true }
      _ = await onLoop { $0.endFollowing(place) }
      return false
    }

    private func attach(_ session: Session, _ id: Int) async -> Bool {
      // Before the first packet comes out of it: the answer must find the session, and not have another opened.
      guard let gauges = await onLoop({ $0.attach(session, to: id) }) ?? nil else {
        await session.close()
        return false
      }
      do {
        let path = paths[session.shard]
        let handler = try await session.eventLoop.submit {
          PeerInbound(id, gauges, path.value) { TunnelLoop.say($0, on: session) }
        }.get()
        try await session.setMessageHandler(handler)
      } catch {
        log("the session with \(name(id)) ended at once: \(error)")
        return false
      }
      await routesAround.follow(id, to: session.establishment.address.ip)
      log(
        "session with \(name(id)) at \(session.remoteAddress.text), ratchet length \(session.establishment.chainLength)"
      )
      return true
    }

    /// Follows a session to its end.
    private func follow(_ session: Session, _ id: Int) async {
      let place = session.place
      for await event in session.events {
        _ = await onLoop { $0.note(event, of: place, id) }
        switch event {
        case .moved(_, _, let address):
          log("\(name(id)) is now at \(SocketAddress(address).text)")
          await routesAround.follow(id, to: address.ip)
        case .ended(_, let reason) where reason != .replaced: log("the session with \(name(id)) ended: \(reason)")
        default: break
        }
      }
      _ = await onLoop { $0.endFollowing(place) }
    }

    /// Does something on the event loop of the device; nil if that is gone.
    func onLoop<Value: Sendable>(_ body: @escaping @Sendable (TunnelLoop) -> Value) async -> Value? {
      let loop = loop
      // It fails only with the event loop, and then there is nobody to tell.
      return try? await loop.eventLoop.submit { body(loop.value) }.get()
    }

    /// What people call a peer.
    func name(_ id: Int) -> String {
      roster.withLockedValue { $0.label(id) }
    }
  }
#endif

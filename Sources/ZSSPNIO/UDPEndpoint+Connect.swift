// SPDX-License-Identifier: Apache-2.0
public import NIOCore
public import ZSSP

extension UDPEndpoint {
  /// Opens a session to a peer at a name or an address, and returns when it is established.
  ///
  /// ```swift
  /// func report(_ reading: String, by endpoint: UDPEndpoint, to gateway: PublicKey) async throws {
  ///   let session = try await endpoint.connect(to: "gw.example:4500", key: gateway, timeout: .seconds(30))
  ///   try await session.send(Array(reading.utf8))
  /// }
  /// ```
  ///
  /// The name is resolved now. Its addresses that the socket reaches are tried in the order of RFC
  /// 8305: IPv6 and IPv4 alternately, beginning with the one that the system puts first. If one
  /// does not answer within one and a half ``/ZSSP/Settings/resendInterval``s, or within its share
  /// of the time that is left, the next is tried. After the last, the first is tried again for
  /// twice as long, up to ``/ZSSP/Settings/handshakeTimeout``. Unlike in RFC 8305, they are not
  /// tried in parallel: handshakes with one peer would compete for its ratchet, and its application
  /// would be asked several times. Once the responder at an address has answered, no other is
  /// tried.
  ///
  /// - Parameters:
  ///   - hostAndPort: The peer's address: `gw.example:4500`, `192.0.2.1:4500` or
  ///     `[2001:db8::1]:4500`.
  ///   - key: The peer's static key.
  ///   - identity: This side's identity, 0…4096 bytes. Only the holder of `key` can read it.
  ///   - flags: The flags, of which only ``/ZSSP/SecurityFlags/initiatorDisallowsDowngrade``
  ///     applies; the endpoint's flags if nil.
  ///   - timeout: How long to try, from the call on; nil for no limit.
  /// - Throws: ``UDPError/invalidAddress(_:reason:)`` if the text is no address and the name is
  ///   unknown, and the errors of
  ///   ``connect(to:key:identity:flags:timeout:)-(SocketAddress,_,_,_,_)``.
  public func connect(
    to hostAndPort: String, key: PublicKey, identity: [UInt8] = [], flags: SecurityFlags? = nil,
    timeout: Duration? = nil
  ) async throws(UDPError) -> Session {
    let start = handle.now
    let addresses = try await handle.addresses(of: hostAndPort, within: timeout)
    let left = timeout.map { max(.zero, $0 - start.duration(to: handle.now)) }
    return try await connect(toAnyOf: addresses, key: key, identity: identity, flags: flags, timeout: left)
  }

  /// Opens a session to a peer at one of several addresses. They are tried as by
  /// ``connect(to:key:identity:flags:timeout:)-(String,_,_,_,_)``.
  ///
  /// - Parameters:
  ///   - addresses: The peer's possible addresses, in the order in which they are tried. Those that
  ///     the socket cannot reach are left out.
  ///   - key: The peer's static key.
  ///   - identity: This side's identity, 0…4096 bytes. Only the holder of `key` can read it.
  ///   - flags: The flags, of which only ``/ZSSP/SecurityFlags/initiatorDisallowsDowngrade``
  ///     applies; the endpoint's flags if nil.
  ///   - timeout: How long to try; nil for no limit.
  /// - Throws: ``UDPError/invalidAddress(_:reason:)`` if the array is empty,
  ///   ``UDPError/unreachable(_:from:)`` if the socket reaches none, and the errors of
  ///   ``connect(to:key:identity:flags:timeout:)-(SocketAddress,_,_,_,_)``.
  public func connect(
    toAnyOf addresses: [SocketAddress], key: PublicKey, identity: [UInt8] = [], flags: SecurityFlags? = nil,
    timeout: Duration? = nil
  ) async throws(UDPError) -> Session {
    guard !addresses.isEmpty else { throw .invalidAddress("", reason: "there is no address to connect to") }
    var usable: [Address] = []
    for address in try localAddress.reachable(addresses) { usable.append(try self.usable(address)) }
    let end = timeout.map { handle.now.advanced(by: $0) }
    var patience = handle.settings.resendInterval * 3 / 2
    var seen: TimeoutCause?
    while true {
      for (index, address) in usable.enumerated() {
        let left = end.map { max(.zero, handle.now.duration(to: $0)) }
        if let seen, left == .zero { throw .timeout(seen) }
        // Every address has its turn in the time that is left.
        let share = left.map { min(patience, $0 / (usable.count - index)) } ?? patience
        let request = ConnectRequest(
          address: address, key: key, identity: identity, flags: flags, timeout: left,
          patience: usable.count > 1 ? share : nil)
        do {
          return try await connect(request)
        } catch {
          guard case .timeout(let cause) = error else { throw error }
          seen = seen?.combined(with: cause) ?? cause
          if usable.count == 1 { throw error }
        }
      }
      patience = min(patience * 2, max(patience, handle.settings.handshakeTimeout))
    }
  }

  /// Opens a session and returns when it is established.
  ///
  /// The handshake restarts with new keys every ``/ZSSP/Settings/handshakeTimeout``, until it
  /// succeeds, the peer refuses, `timeout` has passed, or the task is cancelled, which ends the
  /// attempt.
  ///
  /// When both sides open at once, one session results. Then this call and
  /// ``IncomingSession/accept(flags:)`` for the peer's handshake return the same session, with the
  /// same ``Session/id`` and the same sequences.
  ///
  /// - Parameters:
  ///   - address: The peer's address.
  ///   - key: The peer's static key.
  ///   - identity: This side's identity, 0…4096 bytes. Only the holder of `key` can read it.
  ///   - flags: The flags, of which only ``/ZSSP/SecurityFlags/initiatorDisallowsDowngrade``
  ///     applies; the endpoint's flags if nil.
  ///   - timeout: How long to try; nil for no limit.
  /// - Throws: ``UDPError/invalidAddress(_:reason:)``, ``UDPError/open(_:)``,
  ///   ``UDPError/unreachable(_:from:)``, ``UDPError/rejected``, ``UDPError/timeout(_:)``,
  ///   ``UDPError/sessionEnded(_:)``, ``UDPError/cancelled``, ``UDPError/closed`` or
  ///   ``UDPError/transport(_:)``.
  public func connect(
    to address: SocketAddress, key: PublicKey, identity: [UInt8] = [], flags: SecurityFlags? = nil,
    timeout: Duration? = nil
  ) async throws(UDPError) -> Session {
    try await connect(
      ConnectRequest(address: try usable(address), key: key, identity: identity, flags: flags, timeout: timeout))
  }

  private func connect(_ request: ConnectRequest) async throws(UDPError) -> Session {
    let outcome = SessionOutcome()
    return try await handle.session(outcome, on: handle.shard(for: request), as: .initiator) { driver in
      driver.connect(request, for: outcome)
    }
  }

  /// Returns the address in the form of this socket's family.
  private func usable(_ address: SocketAddress) throws(UDPError) -> Address {
    guard let remote = Address(address), remote.port != 0 else {
      throw .invalidAddress("\(address)", reason: "an IP address and a port other than 0 are needed")
    }
    guard let name = localAddress.name(of: remote) else { throw .unreachable(address, from: localAddress) }
    return name
  }
}

extension EndpointHandle {
  /// The time on the endpoint's clock.
  var now: Instant { shards[0].eventLoop.instant }

  /// Returns the addresses of a text that the socket reaches.
  ///
  /// - Throws: ``UDPError/closed``, ``UDPError/transport(_:)``, ``UDPError/cancelled``,
  ///   ``UDPError/timeout(_:)``, ``UDPError/invalidAddress(_:reason:)`` or
  ///   ``UDPError/unreachable(_:from:)``.
  func addresses(of text: String, within timeout: Duration?) async throws(UDPError) -> [SocketAddress] {
    if let error = closingError { throw error }
    let outcome = Promise<Result<[SocketAddress], UDPError>>()
    let resolver = environment.resolver
    // The system's resolver cannot be stopped; only the wait for it ends.
    let lookUp = Task {
      do throws(UDPError) {
        outcome.resolve(.success(try await resolver.addresses(text)))
      } catch {
        outcome.resolve(.failure(error))
      }
    }
    let timer = timeout.map { timeout in
      shards[0].eventLoop.scheduleTask(in: .nanoseconds(max(0, timeout.nanoseconds))) {
        _ = outcome.resolve(.failure(.timeout(.notResolved)))
      }
    }
    let closing = environment.closing
    let result = await closing.value(
      of: outcome, whenClosed: { outcome.resolve(.failure(closing.error ?? .closed)) },
      whenCancelled: { outcome.resolve(.failure(.cancelled)) })
    timer?.cancel()
    lookUp.cancel()
    return try localAddress.reachable(try result.get())
  }

  /// Waits on the endpoint's clock.
  ///
  /// - Returns: False if the task was cancelled or the endpoint closes.
  func sleep(_ duration: Duration) async -> Bool {
    let outcome = Promise<Bool>()
    let timer = shards[0].eventLoop.scheduleTask(in: .nanoseconds(max(0, duration.nanoseconds))) {
      _ = outcome.resolve(true)
    }
    let isOver = await environment.closing.value(
      of: outcome, whenClosed: { outcome.resolve(false) }, whenCancelled: { outcome.resolve(false) })
    timer.cancel()
    return isOver
  }
}

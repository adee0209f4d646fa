// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPNIO
import ZSSPSwiftCrypto

/// Runs `body` and hands back the error that it must throw.
private func error<Value>(of body: () async throws(UDPError) -> Value) async -> UDPError? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error
  }
}

/// Each failure has its own error, whose text is right.
@Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
struct ErrorTests {
  @Test func messageTooLarge() async throws {
    let pair = try await Pair.connected(quickSettings(mtu: 128))
    let limit = pair.clientSession.largestMessage
    #expect(limit == 48 * (128 - 16) - 16)
    let failure = await error { () async throws(UDPError) in
      try await pair.clientSession.send([UInt8](repeating: 0, count: limit + 1))
    }
    guard case .messageTooLarge(let size, limit) = failure else { return unexpected(failure) }
    #expect(size == limit + 1)
    // Of many none is sent if one cannot be.
    _ = await error { () async throws(UDPError) in
      try await pair.clientSession.send(contentsOf: [[1], [UInt8](repeating: 0, count: limit + 1)])
    }
    #expect(await pair.clientSession.snapshot()?.statistics.messagesSent == 0)
    await pair.close()
  }

  @Test func portInUse() async throws {
    let endpoint = try await makeEndpoint()
    let port = try #require(endpoint.localAddress.port)
    let failure = await error { () async throws(UDPError) in
      try await UDPEndpoint.bind(host: "127.0.0.1", port: port, configuration: makeConfiguration())
    }
    guard case .bindFailed("127.0.0.1", port, .portInUse) = failure else {
      return unexpected(failure)
    }
    #expect(
      failure?.description
        == "cannot bind UDP 127.0.0.1 port \(port): port in use; end the other program, or choose another port")
    await endpoint.close()
  }

  @Test func foreignAddressCannotBeBound() async throws {
    let failure = await error { () async throws(UDPError) in
      try await UDPEndpoint.bind(host: "192.0.2.1", port: 0, configuration: makeConfiguration())
    }
    guard case .bindFailed("192.0.2.1", 0, .addressNotAvailable) = failure else {
      return unexpected(failure)
    }
  }

  @Test func settingsThatCannotWork() async throws {
    let failure = await error { () async throws(UDPError) in
      try await UDPEndpoint.bind(host: "127.0.0.1", port: 0, configuration: makeConfiguration(quickSettings(mtu: 127)))
    }
    guard case .configuration(.mtuOutOfRange(127)) = failure else { return unexpected(failure) }
  }

  @Test func whatCannotBeOpened() async throws {
    let endpoint = try await makeEndpoint()
    let tooLong = await error { () async throws(UDPError) in
      try await endpoint.connect(
        to: endpoint.localAddress, key: endpoint.publicKey, identity: [UInt8](repeating: 0, count: 4097))
    }
    guard case .open(.identityTooLong(4097)) = tooLong else { return unexpected(tooLong) }

    // x = 2^384 − 1 is not below the field's prime.
    let noPoint = try #require(PublicKey([2] + [UInt8](repeating: 0xFF, count: 48)))
    let invalid = await error { () async throws(UDPError) in
      try await endpoint.connect(to: endpoint.localAddress, key: noPoint)
    }
    guard case .open(.invalidPeerKey) = invalid else { return unexpected(invalid) }

    let ipv6 = try SocketAddress(hostAndPort: "[::1]:9")
    let unreachable = await error { () async throws(UDPError) in
      try await endpoint.connect(to: ipv6, key: endpoint.publicKey)
    }
    guard case .unreachable = unreachable else { return unexpected(unreachable) }
    await endpoint.close()
  }

  @Test func wrongPeerKeyTimesOut() async throws {
    var settings = quickSettings()
    settings.handshakeTimeout = .milliseconds(100)
    let server = try await makeEndpoint()
    let client = try await makeEndpoint(settings)
    let wrong = SwiftCryptoProvider().generateAgreementKey().publicKey
    let failure = await error { () async throws(UDPError) in
      try await client.connect(to: server.localAddress, key: wrong, timeout: .milliseconds(400))
    }
    guard case .timeout(.noAnswer) = failure else { return unexpected(failure) }
    #expect(await client.statistics().sessions == 0)
    // The responder cannot read a Hello for another key.
    let connecting = Task { try? await client.connect(to: server.localAddress, key: wrong) }
    try await wait(for: server) { $0.endpoint[.notAuthentic] > 0 }
    connecting.cancel()
    _ = await connecting.value
    await client.close()
    await server.close()
  }

  @Test func rejectedByTheApplication() async throws {
    let server = try await makeEndpoint()
    let client = try await makeEndpoint()
    let rejecting = Task { for await handshake in server.incoming { handshake.reject() } }
    let failure = await error { () async throws(UDPError) in
      try await client.connect(to: server.localAddress, key: server.publicKey)
    }
    guard case .rejected = failure else { return unexpected(failure) }
    await server.close()
    await rejecting.value
    await client.close()
  }

  @Test func connectCancelled() async throws {
    let endpoint = try await makeEndpoint()
    let silent = try await makeEndpoint(flags: .persistent)
    let connecting = Task {
      await error { () async throws(UDPError) in
        try await endpoint.connect(to: silent.localAddress, key: silent.publicKey)
      }
    }
    try await wait(for: endpoint) { $0.sessions == 1 }
    connecting.cancel()
    guard case .cancelled? = await connecting.value else { return unexpected("not cancelled") }
    try await wait(for: endpoint) { $0.sessions == 0 }

    // And before it began.
    let cancelled = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return await error { () async throws(UDPError) in
        try await endpoint.connect(to: silent.localAddress, key: silent.publicKey)
      }
    }
    guard case .cancelled? = await cancelled.value else { return unexpected("not cancelled") }
    #expect(await endpoint.statistics().sessions == 0)
    await endpoint.close()
    await silent.close()
  }

  @Test func closedWhileConnecting() async throws {
    let endpoint = try await makeEndpoint()
    let silent = try await makeEndpoint(flags: .persistent)
    let connecting = Task {
      await error { () async throws(UDPError) in
        try await endpoint.connect(to: silent.localAddress, key: silent.publicKey)
      }
    }
    try await wait(for: endpoint) { $0.sessions == 1 }
    await endpoint.close()
    guard case .closed? = await connecting.value else { return unexpected("not closed") }
    let late = await error { () async throws(UDPError) in
      try await endpoint.connect(to: silent.localAddress, key: silent.publicKey)
    }
    guard case .closed = late else { return unexpected("not closed") }
    await endpoint.close()
    await silent.close()
  }

  @Test func acceptingTooLate() async throws {
    // A slow machine may need several attempts, so the client begins anew as often as the server
    // forgets.
    var settings = quickSettings()
    settings.handshakeTimeout = .milliseconds(500)
    let server = try await makeEndpoint(settings)
    let client = try await makeEndpoint(settings)
    let connecting = Task { try? await client.connect(to: server.localAddress, key: server.publicKey) }
    var incoming = server.incoming.makeAsyncIterator()
    let handshake = try #require(await incoming.next())
    connecting.cancel()
    try await wait(for: server) { $0.transport.incomingExpired > 0 && $0.halfOpenHandshakes == 0 }
    let failure = await error { () async throws(UDPError) in try await handshake.accept() }
    guard case .expired = failure else { return unexpected(failure) }
    await client.close()
    await server.close()
  }

  @Test func decidingTwice() async throws {
    let server = try await makeEndpoint()
    let client = try await makeEndpoint()
    let connecting = Task { try await client.connect(to: server.localAddress, key: server.publicKey) }
    var incoming = server.incoming.makeAsyncIterator()
    let handshake = try #require(await incoming.next())
    let session = try await handshake.accept()
    handshake.reject()
    let failure = await error { () async throws(UDPError) in try await handshake.accept() }
    guard case .expired = failure else { return unexpected(failure) }
    #expect(session.endReason == nil)
    _ = try await connecting.value
    await client.close()
    await server.close()
  }

  /// The store loses the race for the peer's ratchet state: the handshake that was accepted fails,
  /// and says why.
  @Test func acceptFailsWithTheStore() async throws {
    struct ConflictingStore: RatchetStore {
      func answer(_ request: StoreRequest) async -> StoreAnswer {
        switch request {
        case .lookUp: .unknown
        case .load, .revoke: .pair(.empty)
        case .compareAndSwap: .notSwapped
        }
      }
    }
    let server = try await makeEndpoint(store: ConflictingStore())
    let client = try await makeEndpoint()
    let connecting = Task { try? await client.connect(to: server.localAddress, key: server.publicKey) }
    var incoming = server.incoming.makeAsyncIterator()
    let handshake = try #require(await incoming.next())
    let failure = await error { () async throws(UDPError) in try await handshake.accept() }
    guard case .handshakeFailed(.ratchetConflict) = failure else { return unexpected(failure) }
    connecting.cancel()
    await client.close()
    await server.close()
  }

  @Test func sendingOnAnEndedSession() async throws {
    let pair = try await Pair.connected()
    await pair.clientSession.close()
    #expect(pair.clientSession.endReason == .closed)
    #expect(await pair.clientSession.snapshot() == nil)
    let ended = await error { () async throws(UDPError) in try await pair.clientSession.send([1]) }
    guard case .sessionEnded(.closed) = ended else { return unexpected(ended) }
    await pair.clientSession.close()
    await pair.server.close()
    let closed = await error { () async throws(UDPError) in try await pair.serverSession.send([1]) }
    guard case .closed = closed else { return unexpected(closed) }
    await pair.close()
  }

  @Test(arguments: [
    ("1.2.3.4:5", "1.2.3.4", 5), ("[::1]:5", "::1", 5), ("0.0.0.0:0", "0.0.0.0", 0),
    ("[2001:db8::1]:65535", "2001:db8::1", 65_535),
  ])
  func addressesAreRead(text: String, host: String, port: Int) throws {
    let address = try SocketAddress(hostAndPort: text)
    #expect(address.ipAddress == host)
    #expect(address.port == port)
    #expect(SocketAddress(try #require(Address(address))) == address)
  }

  @Test(arguments: [
    "", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:+1x", "::1:5", "[::1]", ":5", "name:5",
    "[1.2.3:5",
  ])
  func whatIsNoAddress(text: String) {
    #expect(throws: UDPError.self) { try SocketAddress(hostAndPort: text) }
  }

  @Test func namesAreResolved() async throws {
    let address = try await SocketAddress.resolve(hostAndPort: "localhost:7")
    #expect(address.port == 7)
    #expect(["127.0.0.1", "::1"].contains(address.ipAddress))
  }
}

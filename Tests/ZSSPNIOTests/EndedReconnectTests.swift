// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto
import ZSSPTesting

@testable import ZSSPNIO

/// The ends of sessions that are opened again.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct EndedReconnectTests {
  /// Closing the session itself is the user's own end, and so is closing the endpoint.
  @Test(arguments: [false, true]) func theUsersOwnEnds(wholeEndpoint: Bool) async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let server = try await makeEndpoint(on: network, at: "10.0.0.2:4500")
    let serving = server.serve(tag: 1)
    let session = try client.reconnectingSession(to: "10.0.0.2:4500", key: server.publicKey)
    try await network.wait(for: session) { if case .connected = $0 { true } else { false } }
    if wholeEndpoint { await client.close() } else { await session.session?.close() }
    for await _ in session.messages {}
    guard case .ended(.closed) = session.state else { return unexpected(session.state) }
    await server.close()
    await serving.value
    await client.close()
  }

  /// Closing the endpoint ends what waits for a name or a pause, and a socket that failed is named.
  @Test(arguments: [false, true], [false, true]) func theEndpointEnds(isResolving: Bool, socketFails: Bool) async throws
  {
    let network = TestNetwork()
    let held = AsyncStream<Void>.makeStream()
    let resolver = NameResolver { _, _ in
      for await _ in held.stream {}
      return []
    }
    let client: UDPEndpoint
    if isResolving {
      (client, _) = try await UDPEndpoint.bind(
        to: SocketAddress(hostAndPort: "10.0.0.1:1000"), on: network, eventLoop: network.eventLoop,
        configuration: testConfiguration(), store: VolatileRatchetStore(), options: UDPOptions(), resolver: resolver,
        logger: nil)
    } else {
      client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    }
    let session = try client.reconnectingSession(to: "gw:4500", key: StaticKey().publicKey)
    if !isResolving {
      try await network.wait(for: session) { if case .waiting(_, after: .invalidAddress) = $0 { true } else { false } }
    }
    let expected = socketFails ? UDPError.transport("gone") : .closed
    if socketFails {
      await client.handle.shards[0].ask { driver in driver.close(expected) }
    } else {
      await client.close()
    }
    for await _ in session.messages {}
    #expect(session.state == .ended(expected))
    await #expect(throws: expected) { try await session.send([1]) }
    await #expect(throws: expected) { try await client.connect(to: "10.0.0.2:4500", key: StaticKey().publicKey) }
    held.continuation.finish()
  }

  /// The failure of the socket ends sessions with its reason.
  @Test func theSocketFails() async throws {
    let network = TestNetwork()
    let (pair, _) = try await NetworkPair.connected(on: network)
    let session = try pair.client.reconnectingSession(to: "10.0.0.2:4500", key: pair.server.publicKey)
    await pair.client.handle.shards[0].ask { driver in driver.close(.transport("gone")) }
    for await _ in session.messages {}
    #expect(session.state == .ended(.transport("gone")))
    await #expect(throws: UDPError.transport("gone")) { try await pair.session.send([1]) }
    await pair.close()
  }

  /// A peer that sends a message and closes at once may end the session before its messages are
  /// forwarded.
  @Test func messagesOfASessionThatHasEnded() async throws {
    let network = TestNetwork()
    let (pair, other) = try await NetworkPair.connected(on: network)
    try await other.send([7])
    await other.close()
    try #require(await network.advance { pair.session.endReason != nil })
    let session = try pair.client.reconnectingSession(to: "10.0.0.9:4500", key: StaticKey().publicKey)
    await #expect(throws: UDPError.sessionEnded(.closedByPeer)) {
      try await session.reconnector.forwardMessages(of: pair.session)
    }
    #expect(await session.messages.first { _ in true } == [7])
    await session.close()
    await pair.close()
  }

  /// A reference that is gone ends the attempts.
  @Test func releasing() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let reconnector: Reconnector
    do {
      let session = try client.reconnectingSession(to: "10.0.0.2:4500", key: StaticKey().publicKey)
      reconnector = session.reconnector
    }
    let reader = reconnector.makeReader()
    while let state = await reader.mailbox.next() {
      if case .ended = state { break }
    }
    #expect(reconnector.state == .ended(.closed))
    await client.close()
  }

  /// Repeated reads of states leave nothing behind.
  @Test func readersOfStatesAreForgotten() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let session = try client.reconnectingSession(to: "10.0.0.2:4500", key: StaticKey().publicKey)
    for _ in 0..<10 { #expect(await session.states.first { _ in true } == .connecting(attempt: 1)) }
    #expect(session.reconnector.readerCount == 0)
    let states = session.states
    #expect(session.reconnector.readerCount == 1)
    withExtendedLifetime(states) {}
    await session.close()
    await client.close()
  }

  @Test func mistakesThatStay() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    for text in ["gw", "gw:0", "10.0.0.2:0"] {
      #expect(throws: UDPError.self) { try client.reconnectingSession(to: text, key: client.publicKey) }
    }
    // x = 2^384 − 1 is not below the field's prime.
    let noPoint = try #require(PublicKey([2] + [UInt8](repeating: 0xFF, count: 48)))
    let session = try client.reconnectingSession(to: "10.0.0.2:4500", key: noPoint)
    for await _ in session.messages {}
    #expect(session.state == .ended(.open(.invalidPeerKey)))
    await client.close()
  }
}

// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPNIO

/// Endpoints of several shards look like one.
@Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
struct ShardTests {
  private func endpoint(
    _ shards: Int, on transport: Transport, configuration: EndpointConfiguration = makeConfiguration()
  ) async throws -> UDPEndpoint {
    var options = UDPOptions()
    options.shards = shards
    return try await UDPEndpoint.bind(
      host: "127.0.0.1", port: 0, configuration: configuration, options: options,
      eventLoopGroup: transport.eventLoopGroup)
  }

  /// Many clients, whose sessions are spread over the shards. Datagrams come to the right one:
  /// those that the system steers, and those that are handed over.
  @Test(arguments: TestSelection.isAll ? [1, 2, 4] : [2], Transport.allCases) func sessionsAreSpread(
    shards: Int, transport: Transport
  ) async throws {
    let server = try await endpoint(shards, on: transport)
    var used: Set<Int> = []
    var pairs: [Pair] = []
    for _ in 0..<16 {
      let client = try await makeEndpoint(on: transport)
      async let accepted = acceptFirst(server)
      let session = try await client.connect(to: server.localAddress, key: server.publicKey)
      pairs.append(Pair(client: client, server: server, clientSession: session, serverSession: try await accepted))
      used.insert(pairs.last?.serverSession.shard ?? -1)
    }
    // One in 2^15, for two shards, that all come to one.
    #expect(used.count > 1 || shards == 1)
    for (number, pair) in pairs.enumerated() {
      try await exchange(pair, count: 20, largest: 5000, seed: UInt64(number))
    }
    let statistics = await server.statistics()
    #expect(statistics.sessions == 16)
    #expect(statistics.endpoint.sessionsEstablished == 16)
    // A message that came to the wrong shard would be missing here. Drops prove nothing: where
    // processors are starved, a handshake is begun anew, and what is repeated of the first finds no
    // key id.
    #expect(statistics.endpoint.messagesReceived == 16 * 20)
    #expect(statistics.transport.handOversDropped == 0)
    // Nothing steers to channels.
    if transport != .channels || shards == 1 { #expect(statistics.transport.handedOver == 0) }
    for pair in pairs { await pair.client.close() }
    await server.close()
    #expect(pairs.allSatisfy { [.closed, .closedByPeer].contains($0.serverSession.endReason) })
  }

  /// A peer that comes back from another address, to another shard, has one session, the newer.
  @Test(arguments: Transport.allCases) func aNewerSessionInAnotherShard(transport: Transport) async throws {
    let server = try await endpoint(4, on: transport)
    let configuration = makeConfiguration()
    var last: Session?
    var shards: Set<Int> = []
    var clients: [UDPEndpoint] = []
    // One in 2^18 that all eight come to one shard, and then all but the last are replaced all the
    // same.
    for _ in 0..<8 {
      let client = try await endpoint(1, on: transport, configuration: configuration)
      async let accepted = acceptFirst(server)
      _ = try await client.connect(to: server.localAddress, key: server.publicKey)
      let session = try await accepted
      shards.insert(session.shard)
      if let last {
        var events = last.events.makeAsyncIterator()
        while await events.next() != nil {}
        #expect(last.endReason == .replaced)
      }
      last = session
      // It must not say goodbye before it is replaced.
      clients.append(client)
    }
    #expect(last?.endReason == nil)
    try await wait(for: server) { $0.sessions == 1 }
    await server.close()
    for client in clients { await client.close() }
  }

  /// Both sides open at once, and know each other by addresses that come to different shards or to
  /// the same.
  @Test(arguments: 0..<4, Transport.allCases) func bothOpenAtOnce(attempt: Int, transport: Transport) async throws {
    let alice = try await endpoint(4, on: transport)
    let bob = try await endpoint(4, on: transport)
    // Behind the relay Alice is somebody at another address.
    let relay = try await LossyRelay.start(to: bob.localAddress, loss: 0, seed: 1)
    func accepting(_ endpoint: UDPEndpoint) -> Task<Void, Never> {
      Task {
        for await handshake in endpoint.incoming { Task { try? await handshake.accept() } }
      }
    }
    let tasks = [accepting(alice), accepting(bob)]
    async let opened = alice.connect(to: attempt % 2 == 0 ? relay.address : bob.localAddress, key: bob.publicKey)
    async let answered = bob.connect(to: alice.localAddress, key: alice.publicKey)
    let first = try await opened
    let second = try await answered
    try await wait(for: alice) { $0.sessions == 1 }
    try await wait(for: bob) { $0.sessions == 1 }
    try await exchange(
      Pair(client: alice, server: bob, clientSession: first, serverSession: second), count: 10, largest: 3000, seed: 4)
    #expect(first.endReason == nil && second.endReason == nil)
    await alice.close()
    await bob.close()
    for task in tasks { await task.value }
    await relay.close()
  }

  /// A challenge has no key id in front, and comes to a shard of the initiator by its source.
  /// Attempts stay in the shard that has a session with the peer, wherever the peer is now.
  @Test(arguments: Transport.allCases) func challengesFindTheirShard(transport: Transport) async throws {
    let configuration = makeConfiguration(helloPolicy: .challenge)
    let client = try await endpoint(4, on: transport)
    var shards: Set<Int> = []
    var servers: [UDPEndpoint] = []
    for _ in 0..<6 {
      let server = try await endpoint(1, on: transport, configuration: configuration)
      async let accepted = acceptFirst(server)
      let session = try await client.connect(to: server.localAddress, key: server.publicKey)
      let pair = Pair(client: client, server: server, clientSession: session, serverSession: try await accepted)
      try await exchange(pair, count: 5, largest: 3000, seed: 8)
      shards.insert(session.shard)
      // It must not say goodbye.
      servers.append(server)
    }
    #expect(shards.count == 1)
    await client.close()
    for server in servers { await server.close() }
  }

  /// An application that steers by itself has one endpoint for each shard, which is not the first.
  @Test func oneOfTheApplicationsOwnShards() async throws {
    var configuration = makeConfiguration()
    configuration.settings.shard = Shard(3, of: 4)
    let server = try await endpoint(1, on: .default, configuration: configuration)
    let client = try await endpoint(1, on: .default, configuration: configuration)
    async let accepted = acceptFirst(server)
    let session = try await client.connect(to: server.localAddress, key: server.publicKey)
    let pair = Pair(client: client, server: server, clientSession: session, serverSession: try await accepted)
    try await exchange(pair, count: 5, largest: 3000, seed: 9)
    await pair.close()
  }

  /// The shards that have nothing to send do not end those that have.
  @Test(arguments: Transport.allCases) func closingLosesNothingInAnyShard(transport: Transport) async throws {
    let server = try await endpoint(1, on: transport)
    let client = try await endpoint(4, on: transport)
    async let accepted = acceptFirst(server)
    let session = try await client.connect(to: server.localAddress, key: server.publicKey)
    let other = try await accepted
    try await session.send(contentsOf: (0..<50).map { [UInt8]($0..<$0 + 1) })
    await client.close()
    var messages = other.messages.makeAsyncIterator()
    for number in 0..<50 { #expect(await messages.next() == [UInt8(number)]) }
    await server.close()
  }

  /// Nothing is left of a closed endpoint that nobody refers to.
  @Test(arguments: [1, 4], Transport.allCases) func aClosedEndpointIsFreed(shards: Int, transport: Transport)
    async throws
  {
    final class Store: RatchetStore {
      func answer(_ request: StoreRequest) async -> StoreAnswer { .failed }
    }
    weak var reference: Store?
    do {
      let store = Store()
      reference = store
      var options = UDPOptions()
      options.shards = shards
      let endpoint = try await UDPEndpoint.bind(
        host: "127.0.0.1", port: 0, configuration: makeConfiguration(), store: store, options: options,
        eventLoopGroup: transport.eventLoopGroup)
      await endpoint.close()
    }
    while reference != nil { try await Task.sleep(for: .milliseconds(1)) }
  }

  @Test(arguments: [0, 3, 512, -1]) func numbersOfShardsThatCannotBe(shards: Int) async throws {
    await #expect {
      _ = try await endpoint(shards, on: .default)
    } throws: { error in
      guard case UDPError.configuration(.shardOutOfRange) = error else { return false }
      return true
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOConcurrencyHelpers
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPNIO

/// Many sessions, slow readers, events, and the ends of things.
@Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
struct SessionTests {
  @Test func fiftySessionsWithOneResponder() async throws {
    let count = 50
    var settings = quickSettings()
    settings.halfOpenLimit = 2 * count
    settings.resendInterval = .seconds(1)
    // All come from one host at the same time, which would be challenged.
    let server = try await makeEndpoint(settings, helloPolicy: .allow)
    let serving = Task {
      await withDiscardingTaskGroup { group in
        for await handshake in server.incoming {
          group.addTask {
            guard let session = try? await handshake.accept() else { return }
            // Every message goes back with the name of the session's client in front.
            for await message in session.messages { try? await session.send(session.identity + message) }
          }
        }
      }
    }
    try await withThrowingTaskGroup { group in
      for number in 0..<count {
        group.addTask {
          let client = try await makeEndpoint()
          let session = try await client.connect(
            to: server.localAddress, key: server.publicKey, identity: [UInt8(number)])
          let pattern = MessagePattern(seed: UInt64(number), largest: 3000)
          var messages = session.messages.makeAsyncIterator()
          for index in 0..<20 {
            try await session.send(pattern.message(index))
            try #require(await messages.next() == [UInt8(number)] + pattern.message(index))
          }
          await client.close()
        }
      }
      try await group.waitForAll()
    }
    #expect(await server.statistics().endpoint.sessionsEstablished >= UInt64(count))
    await server.close()
    await serving.value
  }

  @Test func aSlowReaderLosesTheOldest() async throws {
    var options = UDPOptions()
    options.messageBuffer = 4
    let pair = try await Pair.connected(options: options)
    try await pair.clientSession.send(contentsOf: (0..<10).map { [UInt8($0)] })
    try await wait(for: pair.server) { $0.endpoint.messagesReceived == 10 && $0.transport.messagesDropped == 6 }
    #expect(pair.serverSession.droppedMessages == 6)
    var messages = pair.serverSession.messages.makeAsyncIterator()
    for number in 6..<10 { #expect(await messages.next() == [UInt8(number)]) }
    await pair.close()
  }

  @Test func theBytesOfASlowReaderAreBoundedToo() async throws {
    var options = UDPOptions()
    options.messageBufferBytes = 2500
    let pair = try await Pair.connected(options: options)
    try await pair.clientSession.send(contentsOf: (0..<5).map { [UInt8](repeating: $0, count: 1000) })
    try await wait(for: pair.server) { $0.endpoint.messagesReceived == 5 && $0.transport.messagesDropped == 3 }
    // One message always has room.
    try await pair.clientSession.send([UInt8](repeating: 9, count: 3000))
    try await wait(for: pair.server) { $0.transport.messagesDropped == 5 }
    var messages = pair.serverSession.messages.makeAsyncIterator()
    #expect(await messages.next()?.count == 3000)
    await pair.close()
  }

  @Test func confirmationAndRekeyAreEvents() async throws {
    var settings = quickSettings()
    settings.rekeyAfter = .milliseconds(100)
    settings.rekeyJitter = .zero
    let pair = try await Pair.connected(settings)
    var events = pair.serverSession.events.makeAsyncIterator()
    guard case .confirmed? = await events.next() else { return unexpected("not confirmed") }
    guard case .rekeyed(chainLength: 2)? = await events.next() else { return unexpected("not re-keyed") }
    try await exchange(pair, count: 10, largest: 3000, seed: 1)
    await pair.server.close()
    var last: SessionEvent?
    while let event = await events.next() { last = event }
    guard case .ended(.closed)? = last else { return unexpected("not ended") }
    await pair.close()
  }

  @Test func closingEndsEverything() async throws {
    let pair = try await Pair.connected()
    let reading = Task {
      var count = 0
      for await _ in pair.serverSession.messages { count += 1 }
      return count
    }
    let listening = Task { for await _ in pair.server.incoming {} }
    let running = Task { try await pair.server.run() }
    try await pair.clientSession.send([1])
    try await wait(for: pair.server) { $0.endpoint.messagesReceived == 1 }
    await pair.server.close()
    // What came before the end is still read.
    #expect(await reading.value == 1)
    await listening.value
    try await running.value
    await pair.server.close()
    #expect(await pair.server.statistics().endpoint.messagesReceived == 1)
    await pair.close()
  }

  /// Queued messages leave before the end, although the socket cannot take all of them at once.
  @Test(arguments: [false, true])
  func closingLosesNothingThatWasQueued(wholeEndpoint: Bool) async throws {
    let pair = try await Pair.connected()
    let count = 300
    let message = [UInt8](repeating: 1, count: 1300)
    try await pair.clientSession.send(contentsOf: Array(repeating: message, count: count))
    if wholeEndpoint { await pair.client.close() } else { await pair.clientSession.close() }
    let statistics = await pair.client.statistics()
    #expect(statistics.transport.messagesUnsent == 0)
    // Loopback may lose what its receiver is too slow for, but what was handed to the system is
    // counted.
    #expect(statistics.endpoint.messagesSent == UInt64(count))
    try await wait(for: pair.server) { $0.endpoint.messagesReceived == UInt64(count) }
    await pair.close()
  }

  /// A handshake that goes on without the ratchet is told of even where no session comes of it.
  @Test func aDowngradeIsNotMissedWhenTheHandshakeFails() async throws {
    let server = try await makeEndpoint()
    let held = RatchetState(
      key: Secret(copying: [UInt8](repeating: 1, count: 32).span.bytes),
      fingerprint: Fingerprint([UInt8](repeating: 2, count: 32).span.bytes), chainLength: 7)
    let client = try await makeEndpoint(store: VolatileRatchetStore(pairs: [server.publicKey: RatchetPair(held)]))
    let rejecting = Task { for await handshake in server.incoming { handshake.reject() } }
    await #expect(throws: UDPError.self) {
      try await client.connect(to: server.localAddress, key: server.publicKey)
    }
    var downgrades = client.downgrades.makeAsyncIterator()
    let downgrade = try #require(await downgrades.next())
    #expect(downgrade.peer == server.publicKey && downgrade.heldChainLength == 7)
    #expect(await client.statistics().transport.downgrades == 1)
    await server.close()
    await rejecting.value
    await client.close()
  }

  @Test func rekeyReplacesTheKeyNow() async throws {
    let pair = try await Pair.connected()
    var events = pair.serverSession.events.makeAsyncIterator()
    guard case .confirmed? = await events.next() else { return unexpected("not confirmed") }
    #expect(await pair.clientSession.rekey())
    guard case .rekeyed(chainLength: 2)? = await events.next() else { return unexpected("not re-keyed") }
    try await exchange(pair, count: 10, largest: 3000, seed: 2)
    await pair.close()
    #expect(await pair.clientSession.rekey() == false)
  }

  /// The event used to come a moment before the reason was there.
  @Test func theReasonIsThereWhenTheEndIsRead() async throws {
    for _ in 0..<20 {
      let pair = try await Pair.connected()
      var events = pair.clientSession.events.makeAsyncIterator()
      let session = pair.clientSession
      let closing = Task { await session.close() }
      while let event = await events.next() {
        if case .ended(let reason) = event { #expect(session.endReason == reason) }
      }
      #expect(session.endReason == .closed)
      await closing.value
      await pair.close()
    }
  }

  @Test func runEndsWithItsTask() async throws {
    let endpoint = try await makeEndpoint()
    let running = Task { try await endpoint.run() }
    running.cancel()
    try await running.value
    let port = try #require(endpoint.localAddress.port)
    // The port is free again.
    let other = try await UDPEndpoint.bind(host: "127.0.0.1", port: port, configuration: makeConfiguration())
    await other.close()
  }

  @Test func anEndpointThatNobodyRefersToCloses() async throws {
    var session: Session?
    var port = 0
    let client = try await makeEndpoint()
    do {
      let server = try await makeEndpoint()
      port = try #require(server.localAddress.port)
      async let accepted = acceptFirst(server)
      _ = try await client.connect(to: server.localAddress, key: server.publicKey)
      session = try await accepted
    }
    // The session keeps it.
    #expect(await session?.snapshot() != nil)
    session = nil
    var other: UDPEndpoint?
    while other == nil {
      try Task.checkCancellation()
      other = try? await UDPEndpoint.bind(host: "127.0.0.1", port: port, configuration: makeConfiguration())
    }
    await other?.close()
    await client.close()
  }

  /// Handshakes that do not fit into the unread `incoming` are refused, and the endpoint can still
  /// connect.
  @Test func anEndpointThatOnlyConnects() async throws {
    var options = UDPOptions()
    options.incomingBuffer = 2
    let endpoint = try await makeEndpoint(options: options)
    let server = try await makeEndpoint()
    let strangers = try await withThrowingTaskGroup { group in
      for _ in 0..<3 { group.addTask { try await makeEndpoint() } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    let knocking = strangers.map { stranger in
      Task { try? await stranger.connect(to: endpoint.localAddress, key: endpoint.publicKey) }
    }
    try await wait(for: endpoint) { $0.transport.incomingRefused > 0 }
    async let accepted = acceptFirst(server)
    _ = try await endpoint.connect(to: server.localAddress, key: server.publicKey)
    _ = try await accepted
    for stranger in strangers { await stranger.close() }
    for task in knocking { _ = await task.value }
    await endpoint.close()
    await server.close()
  }

  /// A store gets the requests about one peer one at a time, in the order in which they were made.
  @Test func theStoreIsAskedInOrder() async throws {
    final class WatchfulStore: RatchetStore {
      let store = VolatileRatchetStore()
      let active = NIOLockedValueBox<[PublicKey: Int]>([:])
      let overlaps = NIOLockedValueBox(0)
      let requests = NIOLockedValueBox(0)

      func answer(_ request: StoreRequest) async -> StoreAnswer {
        guard let peer = request.peer else { return await store.answer(request) }
        requests.withLockedValue { $0 += 1 }
        if active.withLockedValue({
          $0[peer, default: 0] += 1; return $0[peer, default: 0]
        }) > 1 {
          overlaps.withLockedValue { $0 += 1 }
        }
        for _ in 0..<10 { await Task.yield() }
        let answer = await store.answer(request)
        active.withLockedValue { $0[peer, default: 0] -= 1 }
        return answer
      }
    }
    let store = WatchfulStore()
    let server = try await makeEndpoint()
    let client = try await makeEndpoint(store: store)
    let serving = Task { for await handshake in server.incoming { _ = try? await handshake.accept() } }
    // Attempts at the same time compete for the peer's ratchet state. One at least gets it.
    let established = await withTaskGroup { group in
      for _ in 0..<4 {
        group.addTask { (try? await client.connect(to: server.localAddress, key: server.publicKey)) != nil }
      }
      return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
    #expect(established >= 1)
    #expect(store.overlaps.withLockedValue { $0 } == 0)
    #expect(store.requests.withLockedValue { $0 } >= 8)
    await server.close()
    await serving.value
    await client.close()
  }
}

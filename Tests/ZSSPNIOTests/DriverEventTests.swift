// SPDX-License-Identifier: Apache-2.0
import Dispatch
import NIOCore
import NIOConcurrencyHelpers
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPNIO

/// The protocol's events reach the application: on the right session, in order, and none after the
/// end.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct DriverEventTests {
  private final class Collector: MessageHandler {
    private let box = SharedBox<[[UInt8]]>([])

    var messages: [[UInt8]] { box.value }

    func receive(_ message: RawSpan) {
      let bytes = message.withUnsafeBytes { Array($0) }
      box.update { $0.append(bytes) }
    }
  }

  /// Stops the event loop at its first message, until it is told to go on.
  private final class Stopper: MessageHandler {
    let stopped = Promise<Void>()
    let goOn = DispatchSemaphore(value: 0)
    let received = SharedBox(0)

    func receive(_ message: RawSpan) {
      received.update { $0 += 1 }
      if stopped.resolve(()) { goOn.wait() }
    }
  }

  @Test func everyEventOfASessionIsTold() async throws {
    let bench = try await DriverBench.make()
    let id = try PlainHandshake().session
    let from = Address(ipv4: 1, port: 1)
    let to = Address(ipv4: 2, port: 2)
    let told = try await bench.run { driver in
      driver.handle(Event.confirmed(id))
      driver.handle(.moved(id, from: from, to: to))
      driver.handle(.rekeyed(id, chainLength: 5))
      driver.handle(.restarted(id, .timeout))
      return driver.inboxes.inbox(of: id).events.takeAll().map { "\($0)".prefix { $0 != "(" } }
    }
    #expect(told == ["confirmed", "moved", "rekeyed", "restarted"])
    try await bench.close()
  }

  /// ``Session/remoteAddress`` is where the peer is, and not where it was.
  @Test func theAddressMovesWithThePeer() async throws {
    let bench = try await DriverBench.make()
    let id = try PlainHandshake().session
    let from = Address(ipv4: 1, port: 1)
    let to = Address(ipv4: 2, port: 2)
    let inbox = try await bench.run { driver in
      driver.handle(Event.moved(id, from: from, to: to))
      return driver.inboxes.inbox(of: id)
    }
    #expect(inbox.address == to)
    #expect(
      SessionEvent(Event.moved(id, from: from, to: to)) == .moved(from: SocketAddress(from), to: SocketAddress(to)))
    try await bench.close()
  }

  /// ``UDPEndpoint/downgrades`` has each, whether or not a session comes of it, and so has the
  /// session.
  @Test func everyDowngradeIsTold() async throws {
    let bench = try await DriverBench.make()
    let id = try PlainHandshake().session
    let peer = makeConfiguration().staticKey.publicKey
    let (told, counted, events) = try await bench.run { driver in
      for length in UInt64(1)...3 { driver.handle(Event.downgraded(id, peer: peer, heldChainLength: length)) }
      return (
        driver.mailboxes.downgrades.takeAll(), driver.counters.downgrades,
        driver.inboxes.inbox(of: id).events.takeAll().count
      )
    }
    #expect(told.map(\.heldChainLength) == [1, 2, 3] && told.allSatisfy { $0.peer == peer && $0.session == id })
    #expect(counted == 3 && events == 3)
    try await bench.close()
  }

  /// Nothing can be sent to port 0: what comes from there is not taken.
  @Test func datagramsFromPortZeroAreNotTaken() async throws {
    let bench = try await DriverBench.make()
    let (taken, counted) = try await bench.run { driver in
      for port in [0, 7] as [UInt16] {
        var bytes = [UInt8](repeating: 0, count: 60)
        bytes.withUnsafeMutableBytes {
          driver.receive($0, segmentSize: 0, from: Address(ipv4: 1, port: port), isSteered: false)
        }
      }
      return (driver.endpoint.statistics.datagramsReceived, driver.counters.unusableSources)
    }
    #expect(taken == 1 && counted == 1)
    try await bench.close()
  }

  /// A handler is given what waits before ``Session/setMessageHandler(_:)`` returns, and is let go
  /// of with the session.
  @Test func aHandlerHasWhatWaitsAndEndsWithItsSession() async throws {
    let pair = try await Pair.connected()
    try await pair.clientSession.send(contentsOf: [[1], [2]])
    try await wait(for: pair.server) { $0.endpoint.messagesReceived == 2 }
    weak var reference: Collector?
    do {
      let collector = Collector()
      reference = collector
      try await pair.serverSession.setMessageHandler(collector)
      #expect(collector.messages == [[1], [2]])
    }
    #expect(reference != nil)
    await pair.serverSession.close()
    // Two turns of the event loop later nothing that ran holds it either.
    for _ in 0..<2 { _ = await pair.server.statistics() }
    #expect(reference == nil)
    await pair.close()
  }

  #if os(Linux)
    /// Messages of two sessions that come in one burst go to each its own.
    @Test func neighboursInABurstAreNotMixedUp() async throws {
      // Nothing else waits while this event loop is stopped.
      let server = try await UDPEndpoint.bind(
        host: "127.0.0.1", port: 0, configuration: makeConfiguration(), eventLoopGroup: EpollEventLoop())
      var pairs: [Pair] = []
      for _ in 0..<2 {
        let client = try await makeEndpoint()
        async let accepted = acceptFirst(server)
        let session = try await client.connect(to: server.localAddress, key: server.publicKey)
        pairs.append(Pair(client: client, server: server, clientSession: session, serverSession: try await accepted))
      }
      let stopper = Stopper()
      let collector = Collector()
      try await pairs[0].serverSession.setMessageHandler(stopper)
      try await pairs[1].serverSession.setMessageHandler(collector)
      try await pairs[0].clientSession.send([0])
      await stopper.stopped.value()
      let before = await pairs[0].client.statistics().endpoint.messagesSent
      // All of these wait in the server's socket when it goes on.
      for _ in 0..<5 {
        for pair in pairs { try await pair.clientSession.send([7]) }
      }
      try await wait(for: pairs[0].client) { $0.endpoint.messagesSent == before + 5 }
      try await wait(for: pairs[1].client) { $0.endpoint.messagesSent == 5 }
      stopper.goOn.signal()
      try await wait(for: server) { $0.endpoint.messagesReceived == 11 }
      #expect(stopper.received.value == 6 && collector.messages.count == 5)
      for pair in pairs { await pair.client.close() }
      await server.close()
    }
  #endif

  @Test func anEndpointThatNobodyRefersToIsClosed() async throws {
    let (shard, port) = try await Self.abandonedShard()
    #expect(await shard.ask { driver in driver.isClosed } == true)
    #expect(port > 0)
  }

  /// A shard of an endpoint that was bound and is not referred to any more.
  private static func abandonedShard() async throws -> (ShardHandle, Int) {
    let handle = try await EndpointHandle.bind(
      to: try SocketAddress(hostAndPort: "127.0.0.1:0"), configuration: makeConfiguration(),
      store: VolatileRatchetStore(), options: UDPOptions(), group: UDPEndpoint.defaultEventLoopGroup)
    #expect(await handle.shards[0].ask { driver in driver.isClosed } == false)
    return (handle.shards[0], handle.localAddress.port ?? 0)
  }
}

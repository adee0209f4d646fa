// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPNIO

/// Messages of all sizes over loopback, at several MTUs, over both kinds of IP, with the kernel's
/// help and without. One after another: each gets the processor for itself, and the time limit
/// means the same on a busy machine.
@Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
struct ExchangeTests {
  /// The largest message of these tests at an MTU.
  private func largest(mtu: Int) -> Int { min(60_000, quickSettings(mtu: mtu).largestMessage) }

  @Test(arguments: TestSelection.isAll ? [128, 576, 1280, 1400, 9000] : [1400], Transport.allCases)
  func aThousandMessagesEachWay(mtu: Int, transport: Transport) async throws {
    let pair = try await Pair.connected(quickSettings(mtu: mtu), on: transport)
    #expect(pair.serverSession.identity == Array("client".utf8))
    #expect(pair.serverSession.peer == pair.client.publicKey)
    #expect(pair.clientSession.peer == pair.server.publicKey)
    #expect(pair.clientSession.role == .initiator)
    #expect(pair.serverSession.role == .responder)
    try await exchange(pair, count: 1000, largest: largest(mtu: mtu), seed: UInt64(mtu))
    #expect(await pair.server.statistics().endpoint.messagesReceived == 1000)
    #expect(await pair.clientSession.snapshot()?.statistics.messagesSent == 1000)
    await pair.close()
  }

  @Test(arguments: Transport.allCases) func aThousandMessagesOverIPv6(transport: Transport) async throws {
    guard await hasIPv6Loopback() else { return isNotTested("IPv6: ::1 cannot be bound on this machine") }
    let pair = try await Pair.connected(host: "::1", on: transport)
    try await exchange(pair, count: 1000, largest: largest(mtu: 1400), seed: 6)
    await pair.close()
  }

  @Test(arguments: Transport.allCases) func anIPv6SocketReachesIPv4(transport: Transport) async throws {
    guard await hasIPv6Loopback() else { return isNotTested("IPv6: ::1 cannot be bound on this machine") }
    let server = try await makeEndpoint(on: transport)
    let client = try await makeEndpoint(host: "::", on: transport)
    async let accepted = acceptFirst(server)
    let session = try await client.connect(to: server.localAddress, key: server.publicKey)
    #expect(session.remoteAddress == server.localAddress)
    let other = try await accepted
    try await other.send([1, 2, 3])
    var messages = session.messages.makeAsyncIterator()
    #expect(await messages.next() == [1, 2, 3])
    await client.close()
    await server.close()
  }

  /// The protocol's own resends carry the handshake through. With these seeds the relay loses the
  /// first datagram of five, the second, and so on to X3, and others later.
  @Test(arguments: [18, 6, 13, 1, 25] as [UInt64])
  func handshakeOverALossyLink(seed: UInt64) async throws {
    let relay = SharedBox<LossyRelay?>(nil)
    let pair = try await Pair.connected { server in
      let made = try await LossyRelay.start(to: server, loss: 0.1, seed: seed)
      relay.value = made
      return made.address
    }
    let lossy = try #require(relay.value)
    lossy.stopLosing()
    #expect(lossy.dropped > 0)
    try await exchange(pair, count: seed == 1 ? 1000 : 20, largest: largest(mtu: 1400), seed: seed)
    await pair.close()
    await lossy.close()
  }

  @Test(arguments: [(true, true), (true, false), (false, true), (false, false)], Transport.allCases)
  func offloadChangesNothing(offload: (sending: Bool, receiving: Bool), transport: Transport) async throws {
    let (sending, receiving) = offload
    var options = UDPOptions()
    options.segmentationOffload = sending
    options.receiveOffload = receiving
    let pair = try await Pair.connected(options: options, on: transport)
    try await exchange(pair, count: 200, largest: largest(mtu: 1400), seed: 7)
    // Many of one size in one call, which is where super-datagrams come from.
    let messages = (0..<100).map { number in [UInt8](repeating: UInt8(number), count: 1000) }
    try await pair.clientSession.send(contentsOf: messages)
    var received = pair.serverSession.messages.makeAsyncIterator()
    for message in messages { #expect(await received.next() == message) }

    let client = await pair.client.statistics().transport
    let server = await pair.server.statistics().transport
    if !sending { #expect(client.superDatagramsSent == 0 && !client.isUsingSegmentationOffload) }
    if sending, !client.isUsingSegmentationOffload { isNotTested("segmentation offload: the kernel has none") }
    if receiving, !server.isUsingReceiveOffload { isNotTested("receive offload: the kernel has none") }
    if client.isUsingSegmentationOffload { #expect(client.superDatagramsSent > 0) }
    if !receiving { #expect(server.superDatagramsReceived == 0 && !server.isUsingReceiveOffload) }
    if client.isUsingSegmentationOffload, server.isUsingReceiveOffload { #expect(server.superDatagramsReceived > 0) }
    await pair.close()
  }

  @Test func buffersAndCollectionsAreMessagesToo() async throws {
    let pair = try await Pair.connected()
    var messages = pair.serverSession.messages.makeAsyncIterator()
    try await pair.clientSession.send(ByteBuffer(string: "buffer"))
    #expect(await messages.next() == Array("buffer".utf8))
    try await pair.clientSession.send("text".utf8)
    #expect(await messages.next() == Array("text".utf8))
    try await pair.clientSession.send([UInt8]())
    #expect(await messages.next() == [])
    await pair.close()
  }

  /// Messages that the responder sends before the initiator's application has its session are kept.
  @Test func nothingThatComesEarlyIsLost() async throws {
    let server = try await makeEndpoint()
    let client = try await makeEndpoint()
    async let greeted: Session = {
      let session = try await acceptFirst(server)
      try await session.send(contentsOf: (0..<20).map { [UInt8($0)] })
      return session
    }()
    let session = try await client.connect(to: server.localAddress, key: server.publicKey)
    var messages = session.messages.makeAsyncIterator()
    for number in 0..<20 { #expect(await messages.next() == [UInt8(number)]) }
    _ = try await greeted
    await client.close()
    await server.close()
  }
}

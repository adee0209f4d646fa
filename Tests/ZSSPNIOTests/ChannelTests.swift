// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPNIO

/// Failures of NIO's channels do not end sessions.
@Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
struct ChannelTests {
  /// Fails super-datagrams as a kernel without checksum offload does, and closes the channel as NIO
  /// then does.
  private final class RefusingHandler: ChannelOutboundHandler {
    typealias OutboundIn = AddressedEnvelope<ByteBuffer>
    private let errno: CInt

    init(errno: CInt) { self.errno = errno }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
      guard unwrapOutboundIn(data).metadata?.segmentSize != nil else { return context.write(data, promise: promise) }
      promise?.fail(IOError(errnoCode: errno, reason: "no segmentation here"))
      if errno != 90 { context.close(promise: nil) }
    }
  }

  /// EIO and EINVAL close the socket, EMSGSIZE does not.
  @Test(arguments: [5, 22, 90] as [CInt])
  func segmentationIsRefused(errno: CInt) async throws {
    var options = UDPOptions()
    options.configureChannel = { channel in
      try channel.pipeline.syncOperations.addHandler(RefusingHandler(errno: errno))
    }
    let server = try await makeEndpoint(on: .channels)
    // The client's own offload is refused with the Hello, its first super-datagram.
    guard await server.statistics().transport.isUsingSegmentationOffload else {
      await server.close()
      return isNotTested("segmentation offload: the kernel has none")
    }
    let client = try await makeEndpoint(options: options, on: .channels)
    async let accepted = acceptFirst(server)
    let session = try await client.connect(to: server.localAddress, key: server.publicKey)
    let other = try await accepted

    let messages = (0..<100).map { number in [UInt8](repeating: UInt8(number), count: 1000) }
    try await session.send(contentsOf: messages)
    var received = other.messages.makeAsyncIterator()
    for message in messages { #expect(await received.next() == message) }
    let statistics = await client.statistics().transport
    #expect(!statistics.isUsingSegmentationOffload)
    #expect(statistics.socketsReplaced == (errno == 90 ? 0 : 1))
    #expect(session.endReason == nil)
    await client.close()
    await server.close()
  }

  /// NIO closes a UDP channel when the system fails to send. Another takes its place, on the same
  /// port.
  @Test func aSocketThatFailsIsReplaced() async throws {
    let channels = SharedBox<[any Channel]>([])
    var options = UDPOptions()
    options.configureChannel = { channel in channels.update { $0.append(channel) } }
    let server = try await makeEndpoint(options: options, on: .channels)
    let client = try await makeEndpoint(on: .channels)
    async let accepted = acceptFirst(server)
    let session = try await client.connect(to: server.localAddress, key: server.publicKey)
    let pair = Pair(client: client, server: server, clientSession: session, serverSession: try await accepted)
    try await exchange(pair, count: 10, largest: 3000, seed: 1)
    try await channels.value.last?.close()
    try await wait(for: server) { $0.transport.socketsReplaced == 1 }
    // The server speaks first: then its socket is there.
    try await pair.serverSession.send([1])
    var messages = pair.clientSession.messages.makeAsyncIterator()
    #expect(await messages.next() == [1])
    try await exchange(pair, count: 10, largest: 3000, seed: 2)
    #expect(channels.value.last?.localAddress == server.localAddress)
    await pair.close()
  }

  /// The system refuses to send to some addresses, 240.0.0.1 among them; sessions with others go
  /// on.
  @Test(arguments: Transport.allCases) func anAddressThatCannotBeSentTo(transport: Transport) async throws {
    let pair = try await Pair.connected(on: transport)
    let stranger = try SocketAddress(hostAndPort: "240.0.0.1:9")
    let connecting = Task { try? await pair.client.connect(to: stranger, key: pair.server.publicKey) }
    try await wait(for: pair.client) { $0.sessions == 2 && $0.endpoint.datagramsSent > 6 }
    connecting.cancel()
    try await exchange(pair, count: 10, largest: 1000, seed: 3)
    await pair.close()
  }
}

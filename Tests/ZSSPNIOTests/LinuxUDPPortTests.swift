// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Glibc
  import NIOCore
  import Testing
  import ZSSPTestSupport
  import ZSSP
  import ZSSPNIO

  /// Failures of the endpoint's own sockets on Linux do not end sessions.
  @Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
  struct LinuxUDPPortTests {
    private let messages = (0..<100).map { number in [UInt8](repeating: UInt8(number), count: 1000) }

    /// A connected pair whose client's sockets refuse what `refuse` says.
    private func connected(_ refuse: @escaping @Sendable (_ size: Int, _ isSegmented: Bool) -> CInt) async throws
      -> Pair
    {
      var options = UDPOptions()
      options.refusePiece = refuse
      let server = try await makeEndpoint(on: .system)
      let client = try await makeEndpoint(options: options, on: .system)
      async let accepted = acceptFirst(server)
      let session = try await client.connect(to: server.localAddress, key: server.publicKey)
      return Pair(client: client, server: server, clientSession: session, serverSession: try await accepted)
    }

    private func sendAndReceive(_ pair: Pair) async throws {
      try await pair.clientSession.send(contentsOf: messages)
      var received = pair.serverSession.messages.makeAsyncIterator()
      for message in messages { #expect(await received.next() == message) }
    }

    @Test(arguments: [EIO, EINVAL, EMSGSIZE])
    func segmentationIsRefused(error: CInt) async throws {
      let pair = try await connected { _, isSegmented in isSegmented ? error : 0 }
      try await sendAndReceive(pair)
      let statistics = await pair.client.statistics().transport
      // Too large for one destination says nothing of others: a peer must not slow them down.
      #expect(statistics.isUsingSegmentationOffload == (error != EIO))
      #expect(statistics.superDatagramsSent == 0)
      #expect(statistics.socketsReplaced == 0)
      await pair.close()
    }

    /// Datagrams that the system does not accept are kept in order, and leave when the socket is
    /// writable.
    @Test func aFullSocketKeepsWhatItIsGiven() async throws {
      let calls = SharedBox(0)
      let pair = try await connected { _, _ in
        calls.update { $0 += 1 }
        return calls.value % 3 == 0 ? 0 : EAGAIN
      }
      try await sendAndReceive(pair)
      let statistics = await pair.client.statistics().transport
      #expect(statistics.sendErrors == 0)
      #expect(statistics.unsentDatagrams == 0)
      #expect(calls.value > 3)
      await pair.close()
    }

    /// A piece that is refused for its own sake is counted and dropped; the others go.
    @Test func aRefusedPieceIsDropped() async throws {
      let refused = SharedBox(false)
      let isArmed = SharedBox(false)
      let pair = try await connected { size, _ in
        // What is still repeated of the handshake is smaller, and passes.
        guard isArmed.value, size >= 1000, !refused.value else { return 0 }
        refused.value = true
        return EPERM
      }
      isArmed.value = true
      try await pair.clientSession.send(messages[1])
      try await wait(for: pair.client) { $0.transport.sendErrors == 1 }
      try await pair.clientSession.send(messages[2])
      var received = pair.serverSession.messages.makeAsyncIterator()
      #expect(await received.next() == messages[2])
      await pair.close()
    }

    /// A port is free once its endpoint is closed. A process that another test starts holds copies
    /// of all sockets between `fork` and `exec`, so the port may be taken for a moment longer.
    @Test(arguments: Transport.allCases) func aClosedPortIsFree(transport: Transport) async throws {
      func bind(_ port: Int) async throws -> UDPEndpoint {
        try await UDPEndpoint.bind(
          host: "127.0.77.1", port: port, configuration: makeConfiguration(), eventLoopGroup: transport.eventLoopGroup)
      }
      var port = 0
      for _ in 0..<20 {
        var bound: UDPEndpoint?
        for _ in 0..<1000 where bound == nil {
          bound = try? await bind(port)
          if bound == nil { try await Task.sleep(for: .milliseconds(5)) }
        }
        let endpoint = try #require(bound, "port \(port) stays taken")
        port = try #require(endpoint.localAddress.port)
        await endpoint.close()
      }
    }

    /// A sender that always has more leaves the event loop to others, and does not keep it from
    /// closing.
    @Test func aSenderThatNeverStopsDoesNotHoldTheEventLoop() async throws {
      let pair = try await connected { _, _ in 0 }
      sendForEver(pair.clientSession)
      try await wait(for: pair.client) { $0.endpoint.messagesSent > 1000 }
      await pair.close()
      #expect(pair.clientSession.endReason == .closed)
    }

    private func sendForEver(_ session: Session) {
      // It ends with the session.
      _ = try? session.sendMessagesIfRoom(ofBytes: 100_000) { run throws(SendError) in
        let message = [UInt8](repeating: 1, count: 1000)
        for _ in 0..<100 { try run.append(message.span.bytes) }
        sendForEver(session)
      }
    }

    /// Closing while the system takes nothing gives up after a while, and lets the socket go.
    @Test func closingDoesNotWaitForEver() async throws {
      let isFull = SharedBox(false)
      let pair = try await connected { _, _ in isFull.value ? EAGAIN : 0 }
      isFull.value = true
      try await pair.clientSession.send([1])
      await pair.close()
      #expect(pair.clientSession.endReason == .closed)
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Glibc
  import NIOCore
  import Testing
  import ZSSP
  import ZSSPNIO

  /// What Linux does to the endpoint's own sockets does not end sessions.
  @Suite(.serialized, .timeLimit(.minutes(5)))
  struct SystemPortTests {
    private let messages = (0..<100).map { number in [UInt8](repeating: UInt8(number), count: 1000) }

    /// A connected pair whose client's sockets refuse what `refuse` says.
    private func connected(_ refuse: @escaping @Sendable (_ isSegmented: Bool) -> CInt) async throws -> Pair {
      var options = UDPOptions()
      options.refusePiece = refuse
      let server = try await makeEndpoint(on: .system)
      let client = try await makeEndpoint(options: options, on: .system)
      async let accepted = acceptFirst(server)
      let session = try await client.connect(to: server.localAddress, key: server.publicKey)
      return Pair(client: client, server: server, clientSession: session, serverSession: try await accepted)
    }

    private func sendAndReceive(_ pair: Pair) async throws {
      try await pair.clientSession.send(messages)
      var received = pair.serverSession.messages.makeAsyncIterator()
      for message in messages { #expect(await received.next() == message) }
    }

    @Test(arguments: [EIO, EINVAL, EMSGSIZE])
    func segmentationIsRefused(error: CInt) async throws {
      let pair = try await connected { isSegmented in isSegmented ? error : 0 }
      try await sendAndReceive(pair)
      let statistics = await pair.client.statistics().transport
      // Too large for one destination says nothing of others: a peer must not slow them down.
      #expect(statistics.isUsingSegmentationOffload == (error != EIO))
      #expect(statistics.superDatagramsSent == 0)
      #expect(statistics.socketsReplaced == 0)
      await pair.close()
    }

    /// What the system does not take is kept, in order, and goes when it can be written to.
    @Test func aFullSocketKeepsWhatItIsGiven() async throws {
      let calls = SharedBox(0)
      let pair = try await connected { _ in
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
      let pair = try await connected { _ in
        guard isArmed.value, !refused.value else { return 0 }
        refused.value = true
        return EPERM
      }
      // The handshake's last packets are not to be the ones.
      while await pair.serverSession.snapshot()?.state != "S2" { await Task.yield() }
      isArmed.value = true
      try await pair.clientSession.send([1])
      try await wait(for: pair.client) { $0.transport.sendErrors == 1 }
      try await pair.clientSession.send([2])
      var received = pair.serverSession.messages.makeAsyncIterator()
      #expect(await received.next() == [2])
      await pair.close()
    }

    /// The next in line may bind the port as soon as it is closed.
    @Test func aClosedPortIsFree() async throws {
      var port = 0
      for _ in 0..<20 {
        let endpoint = try await UDPEndpoint.bind(
          host: "127.0.0.1", port: port, configuration: makeConfiguration(),
          eventLoopGroup: Transport.system.eventLoopGroup)
        port = try #require(endpoint.localAddress.port)
        await endpoint.close()
      }
    }

    /// A sender that always has more leaves the event loop to others, and does not keep it from closing.
    @Test func aSenderThatNeverStopsDoesNotHoldTheEventLoop() async throws {
      let pair = try await connected { _ in 0 }
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
      let pair = try await connected { _ in isFull.value ? EAGAIN : 0 }
      isFull.value = true
      try await pair.clientSession.send([1])
      await pair.close()
      #expect(pair.clientSession.endReason == .closed)
    }
  }
#endif

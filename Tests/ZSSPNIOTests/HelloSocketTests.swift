// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import Dispatch
  import NIOCore
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPNIO

  /// Hellos have a socket of their own, so that a flood of them costs established sessions nothing.
  @Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
  struct HelloSocketTests {
    /// Stops the event loop at its first message, until it is told to go on.
    private final class Stopper: MessageHandler {
      let stopped = Promise<Void>()
      let goOn = DispatchSemaphore(value: 0)
      let received = SharedBox<[UInt8]>([])

      func receive(_ message: RawSpan) {
        let number = message.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
        received.update { $0.append(number) }
        if stopped.resolve(()) { goOn.wait() }
      }
    }

    /// Sends Hellos of strangers, more than any socket's buffer holds.
    private func flood(_ address: SocketAddress) throws {
      let (socket, _) = try SystemSocket.bind(to: Address(ipv4: 0x7F00_0001, port: 0), joining: false)
      let target = try #require(Address(address))
      let hello = [UInt8](repeating: 0, count: 1400)
      try hello.withUnsafeBytes { bytes in
        let pieces = [czssp_outgoing](repeating: czssp_outgoing(bytes, segmentSize: bytes.count, to: target), count: 32)
        for _ in 0..<1000 {
          var sent: CInt = 0
          let error = czssp_udp_send(socket.descriptor, pieces, CInt(pieces.count), &sent)
          try #require(error == 0)
        }
      }
    }

    @Test func aFloodOfHellosLosesNoData() async throws {
      let eventLoops = Array(EpollEventLoopGroup.singleton.makeIterator())
      guard eventLoops.count > 1 else { return isNotTested("floods: there is one event loop") }
      func bind(_ eventLoop: any EventLoop) async throws -> UDPEndpoint {
        try await UDPEndpoint.bind(
          host: "127.0.0.1", port: 0, configuration: makeConfiguration(), eventLoopGroup: eventLoop)
      }
      let server = try await bind(eventLoops[0])
      let client = try await bind(eventLoops[1])
      async let accepted = acceptFirst(server)
      let session = try await client.connect(to: server.localAddress, key: server.publicKey)
      let stopper = Stopper()
      try await accepted.setMessageHandler(stopper)
      try await session.send([0])
      await stopper.stopped.value()
      try flood(server.localAddress)
      for number in 1...50 { try await session.send([UInt8(number)]) }
      try await wait(for: client) { $0.endpoint.messagesSent == 51 }
      stopper.goOn.signal()
      try await wait(for: server) { $0.endpoint.messagesReceived == 51 }
      #expect(stopper.received.value == Array(0...50))
      // Some were read, and most were dropped by the kernel.
      try await wait(for: server) { $0.endpoint.dropped > 0 }
      let statistics = await server.statistics()
      #expect(statistics.endpoint.dropped < 30_000)
      #expect(statistics.transport.unreadHellos > 1000)
      #expect(statistics.transport.unreadDatagrams == 0)
      await client.close()
      await server.close()
    }

    /// Another instance on the same port is a mistake, though its sockets could join these.
    @Test func thePortIsTaken() async throws {
      let endpoint = try await makeEndpoint(on: .system)
      let port = try #require(endpoint.localAddress.port)
      for transport in Transport.allCases {
        await #expect {
          _ = try await UDPEndpoint.bind(
            host: "127.0.0.1", port: port, configuration: makeConfiguration(),
            eventLoopGroup: transport.eventLoopGroup)
        } throws: { error in
          guard case UDPError.bindFailed(_, _, .portInUse) = error else { return false }
          return true
        }
      }
      await endpoint.close()
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import ZSSP
  import ZSSPNIO

  /// A session between two endpoints on loopback UDP.
  struct UDPLink {
    /// Counts messages.
    private final class Counter: MessageHandler {
      let received = SharedCount()

      func receive(_ message: RawSpan) { received.add(1) }
    }

    private let alice: UDPEndpoint
    private let bob: UDPEndpoint
    private let session: Session
    private let counter = Counter()

    init(_ provider: any CryptoProvider, on group: any EventLoopGroup) async throws {
      func bind() async throws -> UDPEndpoint {
        var settings = Settings()
        settings.mtu = 1500
        let configuration = EndpointConfiguration(
          staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow, settings: settings)
        return try await UDPEndpoint.bind(
          host: "127.0.0.1", port: 0, configuration: configuration, eventLoopGroup: group)
      }
      let (alice, bob) = (try await bind(), try await bind())
      async let accepted: Session? = {
        for await handshake in bob.incoming { return try await handshake.accept() }
        return nil
      }()
      session = try await alice.connect(to: bob.localAddress, key: bob.publicKey, timeout: .seconds(10))
      guard let other = try await accepted else { throw EndpointLink.Broken(description: "no session over UDP") }
      try await other.setMessageHandler(counter)
      (self.alice, self.bob) = (alice, bob)
    }

    func close() async {
      await alice.close()
      await bob.close()
    }

    /// Messages a second that arrive while `during` runs and Alice sends as fast as she can, about `chunk` bytes at a time.
    func rate(size: Int, chunk: Int, during: () async throws -> Void) async throws -> Double {
      let sending = Task {
        let message = [UInt8](repeating: 7, count: size)
        let count = max(1, chunk / max(1, size))
        while !Task.isCancelled {
          try await session.sendMessages(ofBytes: count * size) { run throws(SendError) in
            for _ in 0..<count { try run.append(message.span.bytes) }
          }
        }
      }
      let rate = try await counter.received.rate(during: during)
      sending.cancel()
      // It ends with its cancellation; any other end would have been no rate.
      _ = await sending.result
      return rate
    }
  }
#endif

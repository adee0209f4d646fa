// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CoreMetrics
  import Logging
  import NIOCore
  import ZSSP
  import ZSSPMetrics
  import ZSSPNIO

  /// A session between two endpoints on loopback UDP.
  struct UDPLink {
    /// Counts messages.
    private final class Counter: MessageHandler {
      let received = SharedCount()

      func receive(_ message: RawSpan) { received.add(1) }
    }

    private let sender: UDPEndpoint
    let receiver: UDPEndpoint
    let session: Session
    let receivingSession: Session
    let sendingLoop: any EventLoop
    let receivingLoop: any EventLoop
    private let counter = Counter()
    private let reporting: Task<Void, Never>

    /// Makes endpoints on two event loops of a group, or on its only one.
    init(_ provider: any CryptoProvider, on group: any EventLoopGroup, isWatched: Bool = false) async throws {
      try await self.init(provider, sending: group.next(), receiving: group.next(), isWatched: isWatched)
    }

    /// Makes endpoints on two event loops.
    ///
    /// - Parameters:
    ///   - provider: The crypto provider of both sides.
    ///   - sending: The sender's event loop.
    ///   - receiving: The receiver's event loop.
    ///   - isWatched: True to make both log at info, and report metrics ten times per second.
    /// - Throws: ``EndpointLink/Broken`` or ``UDPError``.
    init(
      _ provider: any CryptoProvider, sending: any EventLoop, receiving: any EventLoop, isWatched: Bool = false
    ) async throws {
      func bind(_ eventLoop: any EventLoop) async throws -> UDPEndpoint {
        var settings = Settings()
        settings.mtu = 1500
        let configuration = EndpointConfiguration(
          staticKey: provider.generateAgreementKey(), provider: provider, settings: settings)
        // A large buffer, so that the sender is rarely woken.
        var options = UDPOptions()
        options.sendBuffer = 8 << 20
        return try await UDPEndpoint.bind(
          host: "127.0.0.1", port: 0, configuration: configuration, options: options, eventLoopGroup: eventLoop,
          logger: isWatched ? Logger(label: "zssp") { _ in FormattingLogHandler() } : nil)
      }
      let sender = try await bind(sending)
      let receiver = try await bind(receiving)
      async let accepted: Session? = {
        for await handshake in receiver.incoming { return try await handshake.accept() }
        return nil
      }()
      session = try await sender.connect(to: receiver.localAddress, key: receiver.publicKey, timeout: .seconds(10))
      guard let other = try await accepted else { throw EndpointLink.Broken(description: "no session over UDP") }
      receivingSession = other
      sendingLoop = sending
      receivingLoop = receiving
      self.sender = sender
      self.receiver = receiver
      reporting = Task {
        guard isWatched else { return }
        await withTaskGroup { group in
          for endpoint in [sender, receiver] {
            group.addTask {
              await EndpointMetrics(of: endpoint, factory: NOOPMetricsHandler.instance).run(every: .milliseconds(100))
            }
          }
        }
      }
    }

    func close() async {
      reporting.cancel()
      await reporting.value
      await sender.close()
      await receiver.close()
    }

    /// Returns the messages per second that arrive while `during` runs and the sender sends as fast
    /// as it can, about `chunk` bytes at a time.
    func rate(size: Int, chunk: Int, during: () async throws -> Void) async throws -> Double {
      try await receivingSession.setMessageHandler(counter)
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
      // The task ends by its cancellation. Any other end would have shown as a missing rate.
      _ = await sending.result
      return rate
    }
  }

  /// Formats each log line, and discards it.
  private struct FormattingLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      withExtendedLifetime("\(event.level) \(event.message) \(event.metadata ?? [:])") {}
    }
  }
#endif

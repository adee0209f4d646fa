// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import ZSSP
  import ZSSPNIO

  /// Endpoints that nobody knows yet, each in a network of its own, which open a session to one
  /// endpoint all at once.
  struct Newcomers {
    /// What came of them.
    struct Result: Sendable {
      /// How many got their session in time.
      var established = 0
      /// How long the last of them took, in seconds.
      var slowest = 0.0
    }

    let count: Int
    let patience: Duration
    let eventLoop: any EventLoop

    /// Has them all come, and waits for each of them to be in or out of patience. Whoever they come
    /// to must accept them.
    func come(to address: SocketAddress, key: PublicKey, _ provider: any CryptoProvider) async throws -> Result {
      try await withThrowingTaskGroup(of: Double?.self) { group in
        for number in 1...count {
          group.addTask { try await connect(number, to: address, key: key, provider) }
        }
        return try await group.reduce(into: Result()) { result, time in
          guard let time else { return }
          result.established += 1
          result.slowest = max(result.slowest, time)
        }
      }
    }

    /// How long one took, in seconds; nil if it was out of patience.
    private func connect(
      _ number: Int, to address: SocketAddress, key: PublicKey, _ provider: some CryptoProvider
    ) async throws -> Double? {
      let configuration = EndpointConfiguration(staticKey: provider.generateAgreementKey(), provider: provider)
      let endpoint = try await UDPEndpoint.bind(
        host: "127.2.\(number).1", port: 0, configuration: configuration, eventLoopGroup: eventLoop)
      let (clock, start) = (ContinuousClock(), ContinuousClock.now)
      let time: Double?
      do {
        _ = try await endpoint.connect(to: address, key: key, timeout: patience)
        time = (clock.now - start) / .seconds(1)
      } catch .timeout {
        time = nil
      } catch {
        await endpoint.close()
        throw error
      }
      await endpoint.close()
      return time
    }
  }
#endif

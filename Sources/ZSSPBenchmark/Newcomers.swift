// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import ZSSP
  import ZSSPNIO

  /// Unknown endpoints, each in its own network, that open a session to one endpoint at the same
  /// time.
  struct Newcomers {
    /// The result of a run.
    struct Result: Sendable {
      /// The number of newcomers with a session in time.
      var established = 0
      /// The time of the slowest of them, in seconds.
      var slowest = 0.0
    }

    let count: Int
    let patience: Duration
    let eventLoop: any EventLoop

    /// Starts all newcomers, and waits until each has a session or has timed out. Their responder
    /// must accept them.
    func come(to address: SocketAddress, key: PublicKey, _ provider: any CryptoProvider) async throws -> Result {
      try await withThrowingTaskGroup(of: Double?.self) { group in
        for number in 1...count {
          group.addTask { try await connect(number, to: address, key: key, provider: provider) }
        }
        return try await group.reduce(into: Result()) { result, time in
          guard let time else { return }
          result.established += 1
          result.slowest = max(result.slowest, time)
        }
      }
    }

    /// Returns the time of one newcomer in seconds; nil if it timed out.
    private func connect(
      _ number: Int, to address: SocketAddress, key: PublicKey, provider: some CryptoProvider
    ) async throws -> Double? {
      let configuration = EndpointConfiguration(staticKey: provider.generateAgreementKey(), provider: provider)
      let endpoint = try await UDPEndpoint.bind(
        host: "127.2.\(number).1", port: 0, configuration: configuration, eventLoopGroup: eventLoop)
      let clock = ContinuousClock()
      let start = ContinuousClock.now
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

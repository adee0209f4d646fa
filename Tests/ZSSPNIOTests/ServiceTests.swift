// SPDX-License-Identifier: Apache-2.0
#if ServiceLifecycle
  import Foundation
  import Logging
  import ServiceLifecycle
  import Testing
  import ZSSPTestSupport
  import ZSSP
  import ZSSPNIO

  /// Endpoints as services. Signals are those of the whole process, so these tests run one after
  /// another.
  @Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
  struct ServiceTests {
    /// Tells when its group runs: from then on the group catches its signals.
    private struct Witness: Service {
      let started: AsyncStream<Void>.Continuation

      func run() async throws {
        started.finish()
        try await gracefulShutdown()
      }
    }

    /// The signal of a service manager ends the endpoint: what was queued goes out, and its
    /// sequences end.
    @Test func aSignalClosesTheEndpoint() async throws {
      let server = try await makeEndpoint()
      let client = try await makeEndpoint()
      let started = AsyncStream<Void>.makeStream()
      let group = ServiceGroup(
        configuration: .init(
          services: [.init(service: server), .init(service: Witness(started: started.continuation))],
          gracefulShutdownSignals: [.sigusr2], logger: Logger(label: "test")))
      let running = Task { try await group.run() }
      let accepting = Task { try await acceptFirst(server) }
      let session = try await client.connect(to: server.localAddress, key: server.publicKey)
      let other = try await accepting.value
      let incoming = Task {
        var count = 0
        for await _ in server.incoming { count += 1 }
        return count
      }
      let count = 200
      try await other.send(contentsOf: Array(repeating: [UInt8](repeating: 1, count: 1000), count: count))
      for await _ in started.stream {}
      kill(getpid(), SIGUSR2)
      try await running.value
      #expect(other.endReason == .closed)
      #expect(await incoming.value == 0)
      #expect(await server.statistics().transport.messagesUnsent == 0)
      try await wait(for: client) { $0.endpoint.messagesReceived == UInt64(count) }
      await #expect(throws: UDPError.closed) {
        try await server.connect(to: client.localAddress, key: client.publicKey)
      }
      // The goodbye follows the messages.
      try await wait(for: client) { $0.sessions == 0 }
      #expect(session.endReason == .closedByPeer)
      await client.close()
    }

    /// An endpoint that is closed otherwise ends its service without an error.
    @Test func closingEndsTheService() async throws {
      let endpoint = try await makeEndpoint()
      let group = ServiceGroup(
        configuration: .init(
          services: [.init(service: endpoint, successTerminationBehavior: .gracefullyShutdownGroup)],
          logger: Logger(label: "test")))
      let running = Task { try await group.run() }
      await endpoint.close()
      try await running.value
    }
  }
#endif

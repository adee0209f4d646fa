// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPNIO

/// Public-key work on Hellos, on the threads of an endpoint.
@Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
struct HelloWorkTests {
  @Test("Hellos wait for the threads, none is refused, and the time of the work is told")
  func aSmallQueue() async throws {
    var budget = HelloBudget()
    budget.unchallenged = .zero
    var options = UDPOptions()
    options.publicKeyQueue = 1
    let server = try await makeEndpoint(helloPolicy: .automatic(budget), options: options)
    let serving = Task {
      for await handshake in server.incoming { _ = try? await handshake.accept() }
    }
    try await withThrowingTaskGroup { group in
      for _ in 0..<8 {
        group.addTask {
          let client = try await makeEndpoint()
          _ = try await client.connect(to: server.localAddress, key: server.publicKey)
          await client.close()
        }
      }
      try await group.waitForAll()
    }
    let statistics = await server.statistics()
    #expect(statistics.transport.publicKeyWorkRefused == 0 && statistics.transport.timeOnHellos > .zero)
    #expect(statistics.endpoint[.challenged] >= 8)
    await server.close()
    await serving.value
  }
}

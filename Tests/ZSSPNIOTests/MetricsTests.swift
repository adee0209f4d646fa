// SPDX-License-Identifier: Apache-2.0
import MetricsTestKit
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPMetrics
import ZSSPSwiftCrypto
import ZSSPTesting

@testable import ZSSPNIO

/// The reports through swift-metrics.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct MetricsTests {
  private func ends() async throws -> (TestNetwork, client: UDPEndpoint, server: UDPEndpoint) {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    return (network, client, try await makeEndpoint(on: network, at: "10.0.0.2:4500"))
  }

  @Test func countersGaugesAndTimers() async throws {
    let (network, client, server) = try await ends()
    let metrics = TestMetrics()
    let reporter = EndpointMetrics(of: server, dimensions: [("site", "east")], factory: metrics)
    let east = ("site", "east")
    func counted(_ name: String, _ more: (String, String)...) throws -> Int64 {
      try metrics.expectCounter(name, [east] + more).totalValue
    }
    async let accepted = acceptFirst(server)
    let session = try await client.connect(to: server.localAddress, key: server.publicKey)
    let other = try await accepted
    for number in UInt8(0)..<5 { try await session.send([number]) }
    while await server.statistics().endpoint.messagesReceived < 5 { await Task.yield() }
    network.send([1], from: Address(ipv4: 1, port: 1), to: Address(ipv4: 0x0A00_0002, port: 4500))
    while await server.statistics().endpoint[.badLength] < 1 { await Task.yield() }
    await reporter.report()
    #expect(try counted("zssp_messages_received") == 5)
    #expect(try counted("zssp_sessions_established") == 1)
    #expect(try counted("zssp_drops", ("reason", "badLength")) == 1)
    #expect(try metrics.expectRecorder("zssp_sessions", [east]).lastValue == 1)
    let timer = try metrics.expectTimer("zssp_handshake", [east, ("role", "responder"), ("outcome", "established")])
    #expect(timer.values.count == 1)
    // Reported once only.
    await reporter.report()
    #expect(try counted("zssp_messages_received") == 5)
    try await session.send([9])
    while await server.statistics().endpoint.messagesReceived < 6 { await Task.yield() }
    await other.close()
    await reporter.report()
    #expect(try counted("zssp_messages_received") == 6)
    #expect(try metrics.expectRecorder("zssp_sessions", [east]).lastValue == 0)
    await client.close()
    await server.close()
  }

  /// The table in the documentation has what is reported, and everything is reported.
  @Test func everyNameIsReported() async throws {
    let (_, client, server) = try await ends()
    let metrics = TestMetrics()
    let reporter = EndpointMetrics(of: client, factory: metrics)
    await reporter.report()
    let reported =
      metrics.counters.map(\.label) + metrics.recorders.map(\.label) + metrics.timers.map(\.label)
    #expect(Set(reported) == Set(EndpointMetrics.names.map { "zssp_\($0)" }))
    #expect(Set(EndpointMetrics.names).count == EndpointMetrics.names.count)
    await client.close()
    await server.close()
  }

  /// A reporter that is released takes nothing from the one that has taken its place.
  @Test func aReporterThatIsReplaced() async throws {
    let (network, client, server) = try await ends()
    let metrics = TestMetrics()
    var reporter: EndpointMetrics? = EndpointMetrics(of: client, factory: TestMetrics())
    let next = EndpointMetrics(of: client, factory: metrics)
    withExtendedLifetime(reporter) {}
    reporter = nil
    async let accepted = acceptFirst(server)
    _ = try await client.connect(to: server.localAddress, key: server.publicKey)
    _ = try await accepted
    let timer = try metrics.expectTimer("zssp_handshake", [("role", "initiator"), ("outcome", "established")])
    #expect(timer.values.count == 1)
    withExtendedLifetime((next, network)) {}
    await client.close()
    await server.close()
  }

  @Test func failedHandshakesAreTimedToo() async throws {
    let (network, client, server) = try await ends()
    let metrics = TestMetrics()
    let reporter = EndpointMetrics(of: client, factory: metrics)
    let script = Task { for await handshake in server.incoming { handshake.reject() } }
    await #expect(throws: UDPError.rejected) {
      try await client.connect(to: server.localAddress, key: server.publicKey)
    }
    let timer = try metrics.expectTimer("zssp_handshake", [("role", "initiator"), ("outcome", "failed")])
    #expect(timer.values.count == 1)
    withExtendedLifetime((reporter, network)) {}
    await server.close()
    await script.value
    await client.close()
  }

  /// The last report comes when the reporter is stopped.
  @Test func runningAndStopping() async throws {
    let (network, client, server) = try await ends()
    let metrics = TestMetrics()
    let reporter = EndpointMetrics(of: server, factory: metrics)
    let clock = network.clock
    let running = Task { await reporter.run(every: .seconds(10), clock: clock) }
    async let accepted = acceptFirst(server)
    _ = try await client.connect(to: server.localAddress, key: server.publicKey)
    _ = try await accepted
    running.cancel()
    await running.value
    #expect(try metrics.expectCounter("zssp_sessions_established").totalValue == 1)
    await client.close()
    await server.close()
  }
}

// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPTesting

@testable import ZSSPNIO

/// Peers that are known by names, with several addresses.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct NameTests {
  private static func addresses(_ texts: [String]) throws -> [SocketAddress] {
    try texts.map { try SocketAddress(hostAndPort: $0) }
  }

  /// RFC 8305, section 4: the families in turn, the system's first address first, each family in
  /// its order.
  @Test(arguments: [
    (["[::1]:1", "[::2]:1", "1.0.0.1:1"], ["[::1]:1", "1.0.0.1:1", "[::2]:1"]),
    (["1.0.0.1:1", "1.0.0.2:1", "[::1]:1"], ["1.0.0.1:1", "[::1]:1", "1.0.0.2:1"]),
    (["1.0.0.1:1", "1.0.0.1:1", "1.0.0.2:1"], ["1.0.0.1:1", "1.0.0.2:1"]),
    ([], []),
  ])
  func familiesInTurn(sorted: [String], expected: [String]) throws {
    #expect(NameResolver.inTurn(try Self.addresses(sorted)) == (try Self.addresses(expected)))
  }

  @Test func allAddressesOfAName() async throws {
    let all = try await SocketAddress.resolveAll(hostAndPort: "localhost:7")
    #expect(all.contains { $0.ipAddress == "127.0.0.1" } && all.allSatisfy { $0.port == 7 })
    #expect(Set(all.map(\.text)).count == all.count)
  }

  /// The system puts ::1 first where it has it, and this socket reaches 127.0.0.1 only.
  @Test(arguments: Transport.allCases) func aSocketOfIPv4(transport: Transport) async throws {
    let server = try await makeEndpoint(on: transport)
    let client = try await makeEndpoint(host: "0.0.0.0", on: transport)
    async let accepted = acceptFirst(server)
    let port = try #require(server.localAddress.port)
    let session = try await client.connect(to: "localhost:\(port)", key: server.publicKey)
    #expect(session.remoteAddress.ipAddress == "127.0.0.1")
    _ = try await accepted
    await client.close()
    await server.close()
  }

  @Test func aNameCanBeBound() async throws {
    let endpoint = try await makeEndpoint(host: "localhost")
    #expect(["127.0.0.1", "::1"].contains(endpoint.localAddress.ipAddress))
    await endpoint.close()
  }

  /// The first two addresses have no endpoint. The third is tried, without a wait for a timeout.
  @Test func eachAddressIsTried() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let server = try await makeEndpoint(on: network, at: "10.0.0.9:4500")
    try network.setAddresses(["10.0.0.7:0", "10.0.0.8:0", "10.0.0.9:0", "[2001:db8::1]:0"], of: "gw")
    let accepting = Task { try await acceptFirst(server) }
    let result = SharedBox<Session?>(nil)
    let connecting = Task { result.value = try await client.connect(to: "gw:4500", key: server.publicKey) }
    #expect(await network.advance { result.value != nil })
    #expect(result.value?.remoteAddress.text == "10.0.0.9:4500")
    // Two addresses did not answer. Neither took the ten seconds of a whole handshake.
    #expect(network.now < .seconds(6))
    try await connecting.value
    _ = try await accepting.value
    await client.close()
    await server.close()
  }

  /// A responder that has answered is waited for, although its application takes its time.
  @Test func anAddressThatAnswersIsNotLeft() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let server = try await makeEndpoint(on: network, at: "10.0.0.8:4500")
    try network.setAddresses(["10.0.0.8:0", "10.0.0.9:0"], of: "gw")
    let result = SharedBox<Session?>(nil)
    let connecting = Task { result.value = try await client.connect(to: "gw:4500", key: server.publicKey) }
    let handshake = try #require(await server.incoming.first { _ in true })
    await network.advance(by: .seconds(5))
    #expect(result.value == nil && network.counters.undeliverable == 0)
    let accepting = Task { try await handshake.accept() }
    #expect(await network.advance { result.value != nil })
    try await connecting.value
    _ = try await accepting.value
    await client.close()
    await server.close()
  }

  @Test func whatCannotBeConnectedTo() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let key = client.publicKey
    await #expect(throws: UDPError.invalidAddress("gw:4500", reason: "the name \"gw\" is not known")) {
      try await client.connect(to: "gw:4500", key: key)
    }
    for text in ["gw", "gw:", "gw:x", ":1", "10.0.0.1:0", "[gw]:1", "[10.0.0.2]:1", "gw\0.example:1", "g w:1"] {
      let error = await #expect(throws: UDPError.self) { try await client.connect(to: text, key: key) }
      guard case .invalidAddress = error else { return unexpected(error) }
    }
    try network.setAddresses(["[2001:db8::1]:0"], of: "gw")
    let error = await #expect(throws: UDPError.self) { try await client.connect(to: "gw:4500", key: key) }
    guard case .unreachable = error else { return unexpected(error) }
    let none = await #expect(throws: UDPError.self) { try await client.connect(toAnyOf: [], key: key) }
    guard case .invalidAddress = none else { return unexpected(none) }
    await client.close()
  }

  /// A resolver that never answers does not outlast the time limit, nor a cancelled task.
  @Test func aResolverThatHangs() async throws {
    let network = TestNetwork()
    let held = AsyncStream<Void>.makeStream()
    let (endpoint, _) = try await UDPEndpoint.bind(
      to: SocketAddress(hostAndPort: "10.0.0.1:1000"), on: network, eventLoop: network.eventLoop,
      configuration: testConfiguration(), store: VolatileRatchetStore(), options: UDPOptions(),
      resolver: NameResolver { _, _ in
        for await _ in held.stream {}
        return []
      }, logger: nil)
    let failure = SharedBox<UDPError?>(nil)
    func connect(_ timeout: Duration?) -> Task<Void, Never> {
      Task {
        do throws(UDPError) {
          _ = try await endpoint.connect(to: "gw:4500", key: endpoint.publicKey, timeout: timeout)
        } catch {
          failure.value = error
        }
      }
    }
    let timed = connect(.seconds(3))
    #expect(await network.advance { failure.value != nil })
    #expect(failure.value == .timeout(.notResolved))
    await timed.value
    let cancelled = connect(nil)
    cancelled.cancel()
    await cancelled.value
    #expect(failure.value == .cancelled && failure.value?.isCancellation == true)
    held.continuation.finish()
    await endpoint.close()
  }
}

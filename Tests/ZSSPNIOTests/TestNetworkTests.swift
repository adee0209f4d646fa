// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPNIO
import ZSSPSwiftCrypto
import ZSSPTesting

/// The network in memory that `ZSSPTesting` has for applications.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct TestNetworkTests {
  @Test func aSessionNeedsNoTime() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let server = try await makeEndpoint(on: network, at: "10.0.0.2:4500")
    async let accepted = acceptFirst(server)
    let session = try await client.connect(toAnyOf: [server.localAddress], key: server.publicKey)
    let other = try await accepted
    try await session.send([1, 2])
    #expect(await other.messages.first { _ in true } == [1, 2])
    #expect(network.now == .zero && network.counters.sent > 0)
    await client.close()
    await server.close()
  }

  /// Loss alone stops a handshake, until time passes and packets are sent again.
  @Test func lossAndTime() async throws {
    let network = TestNetwork(seed: 3)
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let server = try await makeEndpoint(on: network, at: "10.0.0.2:4500")
    network.conditions.loss = 0.4
    let accepting = Task { try await acceptFirst(server) }
    let connecting = Task { try await client.connect(to: server.localAddress, key: server.publicKey) }
    let established = SharedBox(false)
    let waiting = Task {
      _ = try await connecting.value
      established.value = true
    }
    #expect(await network.advance { established.value })
    try await waiting.value
    #expect(network.counters.lost > 0 && network.now > .zero)
    network.conditions.loss = 0
    _ = await (client.close(), server.close())
    _ = await accepting.result
  }

  @Test func delayedDatagramsWaitForTheClock() async throws {
    let network = TestNetwork()
    let (pair, other) = try await NetworkPair.connected(on: network)
    network.conditions.delay = .milliseconds(300)
    try await pair.session.send([7])
    await network.advance(by: .milliseconds(250))
    #expect(await pair.server.statistics().endpoint.messagesReceived == 0)
    await network.advance(by: .milliseconds(100))
    #expect(await other.messages.first { _ in true } == [7])
    await pair.close()
  }

  @Test func partitions() async throws {
    let network = TestNetwork()
    let (pair, other) = try await NetworkPair.connected(on: network)
    network.separate(pair.client, pair.server)
    try await pair.session.send([1])
    await network.advance(by: .seconds(1))
    #expect(network.counters.cutOff > 0)
    network.heal()
    try await pair.session.send([2])
    #expect(await other.messages.first { _ in true } == [2])
    network.cutOff(pair.server)
    try await pair.session.send([3])
    await network.advance(by: .seconds(1))
    #expect(await pair.server.statistics().endpoint.messagesReceived == 1)
    network.reconnect(pair.server)
    try await pair.session.send([4])
    #expect(await other.messages.first { _ in true } == [4])
    await pair.close()
  }

  /// Time passes although a store does not answer, so that its time limit is reached.
  @Test func storesThatHang() async throws {
    let network = TestNetwork()
    let store = HangingStore { _, _ in true }
    let client = try await network.endpoint(
      at: "10.0.0.1:1000", configuration: testConfiguration(), store: store)
    let connecting = Task {
      try await client.connect(to: "10.0.0.2:4500", key: StaticKey().publicKey, timeout: .seconds(60))
    }
    #expect(
      await network.advance(step: .seconds(1)) {
        await client.statistics().transport.storeRequestsTimedOut > 0
      })
    connecting.cancel()
    await #expect(throws: UDPError.self) { try await connecting.value }
    await store.goOn()
    await client.close()
  }

  /// A socket for both kinds of addresses reaches IPv4, and port 0 is a free port.
  @Test func wildcardsAndFreePorts() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "[::]:0")
    let server = try await makeEndpoint(on: network, at: "10.0.0.2:0")
    let ports = [client.localAddress.port, server.localAddress.port]
    #expect(Set(ports).count == 2 && !ports.contains(0))
    async let accepted = acceptFirst(server)
    let session = try await client.connect(to: server.localAddress, key: server.publicKey)
    try await session.send([1])
    #expect(try await accepted.messages.first { _ in true } == [1])
    await client.close()
    await server.close()
  }

  /// A cut ends with its endpoint.
  @Test func aSuccessorIsNotCutOff() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let first = try await makeEndpoint(on: network, at: "10.0.0.2:4500")
    network.cutOff(first)
    await first.close()
    let second = try await makeEndpoint(on: network, at: "10.0.0.2:4500")
    async let accepted = acceptFirst(second)
    _ = try await client.connect(to: second.localAddress, key: second.publicKey)
    _ = try await accepted
    await client.close()
    await second.close()
  }

  @Test func addressesAreTakenOnce() async throws {
    let network = TestNetwork()
    let first = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let error = await #expect(throws: UDPError.self) { try await makeEndpoint(on: network, at: "10.0.0.1:1000") }
    #expect(error == .bindFailed(host: "10.0.0.1", port: 1000, reason: .portInUse))
    await first.close()
    await network.settle()
    try await makeEndpoint(on: network, at: "10.0.0.1:1000").close()
  }

  @Test func theClockIsTheNetworks() async throws {
    let network = TestNetwork()
    let clock = network.clock
    let woken = SharedBox(false)
    let sleeping = Task {
      try await clock.sleep(for: .seconds(60))
      woken.value = true
    }
    await network.advance(by: .seconds(59), step: .seconds(1))
    #expect(!woken.value)
    #expect(await network.advance(step: .seconds(1)) { woken.value })
    try await sleeping.value
    #expect(clock.now.offset >= .seconds(60))
    let cancelled = Task { try await clock.sleep(for: .seconds(60)) }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
  }

  @Test func scriptedPeers() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let peer = try await ScriptedPeer(on: network, at: "10.0.0.2:4500", configuration: testConfiguration())
    let script = Task {
      try await peer.run([.reject, .accept, .expect([1]), .send([2]), .echo(2), .rekey, .close, .restart, .accept])
    }
    await #expect(throws: UDPError.rejected) { try await client.connect(to: peer.address, key: peer.publicKey) }
    let session = try await client.connect(to: peer.address, key: peer.publicKey)
    var messages = session.messages.makeAsyncIterator()
    try await session.send([1])
    #expect(await messages.next() == [2])
    for number in UInt8(3)...4 {
      try await session.send([number])
      #expect(await messages.next() == [number])
    }
    // The other end is closed and made anew; the next session comes all the same. What is sent in
    // between is lost, and sent again when time goes on.
    let isOver = SharedBox(false)
    let next = Task {
      defer { isOver.value = true }
      return try await client.connect(to: peer.address, key: peer.publicKey)
    }
    #expect(await network.advance { isOver.value })
    _ = try await next.value
    try await script.value
    await client.close()
    await peer.close()
  }

  @Test func aScriptSaysWhichStepFailed() async throws {
    let network = TestNetwork()
    let peer = try await ScriptedPeer(on: network, at: "10.0.0.2:4500", configuration: testConfiguration())
    let error = await #expect(throws: ScriptedPeer.Failure.self) { try await peer.run([.vanish, .send([1])]) }
    #expect(error?.index == 1 && error?.description.contains("no session") == true)
    await peer.close()
  }
}

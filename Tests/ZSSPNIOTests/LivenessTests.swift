// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPNIO
import ZSSPTesting

/// Silent peers are probed, and the ends of sessions are said.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct LivenessTests {
  private func lastEvent(of session: Session) async -> SessionEvent? {
    var last: SessionEvent?
    for await event in session.events { last = event }
    return last
  }

  @Test func closingIsSaid() async throws {
    let (pair, other) = try await NetworkPair.connected(on: TestNetwork())
    await pair.session.close()
    #expect(await lastEvent(of: other) == .ended(.closedByPeer))
    #expect(other.endReason == .closedByPeer && pair.session.endReason == .closed)
    #expect(await other.messages.first { _ in true } == nil)
    await pair.close()
  }

  @Test func closingAnEndpointIsSaidToAll() async throws {
    let network = TestNetwork()
    let server = try await makeEndpoint(on: network, at: "10.0.0.2:4500")
    // On a starved machine an attempt may expire, and the next comes through.
    let accepting = Task { for await handshake in server.incoming { _ = try? await handshake.accept() } }
    var clients: [(endpoint: UDPEndpoint, session: Session)] = []
    for number in 1...20 {
      let client = try await makeEndpoint(on: network, at: "10.0.1.\(number):1000")
      clients.append((client, try await client.connect(toAnyOf: [server.localAddress], key: server.publicKey)))
    }
    await server.close()
    for client in clients {
      #expect(await lastEvent(of: client.session) == .ended(.closedByPeer))
      await client.endpoint.close()
    }
    _ = await accepting.result
  }

  /// A server that many have sessions with closes a real socket: the last datagrams are not thrown
  /// away with it.
  @Test func farewellsLeaveARealSocket() async throws {
    let server = try await UDPEndpoint.bind(host: "127.0.0.1", port: 0, configuration: testConfiguration())
    // On a starved machine an attempt may expire, and the next comes through.
    let accepting = Task { for await handshake in server.incoming { _ = try? await handshake.accept() } }
    let client = try await UDPEndpoint.bind(host: "127.0.0.1", port: 0, configuration: testConfiguration())
    let session = try await client.connect(to: server.localAddress, key: server.publicKey)
    await server.close()
    #expect(await lastEvent(of: session) == .ended(.closedByPeer))
    await client.close()
    _ = await accepting.result
  }

  @Test("by default an idle session is probed, and one whose peer is gone ends after 45 seconds")
  func aPeerThatIsGone() async throws {
    let network = TestNetwork()
    let (pair, other) = try await NetworkPair.connected(on: network)
    await network.advance(by: .seconds(300), step: .seconds(1))
    #expect(pair.session.endReason == nil && other.endReason == nil)
    let roundTrips = await [pair.session.snapshot()?.roundTrip, other.snapshot()?.roundTrip]
    #expect(roundTrips.contains { $0 != nil })
    network.separate(pair.client, pair.server)
    let start = network.now
    #expect(await network.advance(step: .seconds(1)) { pair.session.endReason != nil && other.endReason != nil })
    #expect(pair.session.endReason == .peerSilent && other.endReason == .peerSilent)
    let silence = network.now - start
    #expect(silence >= .seconds(29) && silence <= .seconds(46))
    await pair.close()
  }

  @Test func probesMeasureTheRoundTrip() async throws {
    final class Recorder: MessageHandler {
      let roundTrips = SharedBox<[Duration?]>([])
      func receive(_ message: RawSpan) {}
      func answered(roundTrip: Duration?) { roundTrips.update { $0.append(roundTrip) } }
    }
    let network = TestNetwork()
    let (pair, _) = try await NetworkPair.connected(on: network)
    let recorder = Recorder()
    try await pair.session.setMessageHandler(recorder)
    network.conditions.delay = .milliseconds(30)
    await pair.session.probe()
    await network.advance(by: .milliseconds(100), step: .milliseconds(1))
    let roundTrip = try #require(await pair.session.snapshot()?.roundTrip)
    #expect(roundTrip >= .milliseconds(60) && roundTrip <= .milliseconds(70))
    #expect(recorder.roundTrips.value == [roundTrip])
    await pair.close()
  }

  /// The endpoint's settings win over the options of the transport.
  @Test func settingsComeFirst() async throws {
    let network = TestNetwork()
    var settings = Settings()
    settings.idleTimeout = .seconds(10)
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000", settings: settings)
    let server = try await makeEndpoint(on: network, at: "10.0.0.2:4500", settings: settings)
    async let accepted = acceptFirst(server)
    let session = try await client.connect(toAnyOf: [server.localAddress], key: server.publicKey)
    _ = try await accepted
    // A peer that is there answers just in time.
    await network.advance(by: .seconds(30), step: .milliseconds(500))
    #expect(session.endReason == nil)
    network.separate(client, server)
    await network.advance(by: .seconds(11), step: .milliseconds(500))
    #expect(session.endReason == .peerSilent)
    await client.close()
    await server.close()
  }

  @Test func timesThatCannotWorkAreRefused() async throws {
    var options = UDPOptions()
    options.keepAlive = .seconds(60)
    options.idleTimeout = .seconds(45)
    await #expect(throws: UDPError.self) {
      try await UDPEndpoint.bind(host: "127.0.0.1", port: 0, configuration: testConfiguration(), options: options)
    }
  }
}

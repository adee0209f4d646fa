// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Glibc
  import NIOCore
  import Synchronization
  import Testing
  import ZSSPTestSupport
  import ZSSP
  import ZSSPNIO
  import ZSSPSwiftCrypto

  @testable import ZSSPTunnel

  /// The end of a peer's session, whoever notices it first. Sessions are real, and time is the
  /// test's.
  @Suite(.tags(.slow), .timeLimit(.minutes(20)))
  struct SessionEndTests {
    /// A peer whose sessions the test ends, and the loop that has them.
    private final class Stage: Sendable {
      let client: UDPEndpoint
      let server: UDPEndpoint
      let loop: NIOLoopBound<TunnelLoop>
      private let time: Time
      private let outside: CInt

      init() async throws {
        func endpoint() async throws -> UDPEndpoint {
          let provider = SwiftCryptoProvider()
          return try await UDPEndpoint.bind(
            host: "127.0.0.1", port: 0,
            configuration: EndpointConfiguration(
              staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow))
        }
        client = try await endpoint()
        server = try await endpoint()
        var pair: [CInt] = [0, 0]
        let kind = CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        try #require(socketpair(AF_UNIX, kind, 0, &pair) == 0)
        let inside = pair[0]
        let eventLoop = client.eventLoops[0]
        let key = server.publicKey
        let address = server.localAddress
        outside = pair[1]
        let time = Time()
        self.time = time
        loop = try await eventLoop.submit {
          let device = TunDevice(descriptor: inside, name: "test0", segmentsTCP: false, segmentsUDP: false)
          let loop = TunnelLoop(
            device, mtu: 1400, on: eventLoop, drops: DropCounters(), wanted: AsyncStream<Int>.makeStream().continuation,
            clock: { time.now })
          var peer = PeerConfiguration(publicKey: key)
          peer.endpoints = [try PeerEndpoint("127.0.0.1:\(address.port ?? 1)")]
          loop.adopt(PeerTable([peer]))
          return NIOLoopBound(loop, eventLoop: eventLoop)
        }.get()
      }

      /// The test's time.
      private final class Time: Sendable {
        private let seconds = Atomic<Int64>(1)
        var now: Instant { Instant(nanoseconds: seconds.load(ordering: .relaxed) * 1_000_000_000) }
        func pass(_ seconds: Int64) { self.seconds.add(seconds, ordering: .relaxed) }
      }

      func pass(seconds: Int64) { time.pass(seconds) }

      /// A session with the peer, of both sides.
      func connect() async throws -> (Session, Session) {
        async let accepted = accept()
        let session = try await client.connect(to: server.localAddress, key: server.publicKey)
        return (session, try #require(await accepted))
      }

      private func accept() async -> Session? {
        for await handshake in server.incoming { return try? await handshake.accept() }
        return nil
      }

      /// Ends the peer's side, and waits until this side knows.
      func end(_ sides: (Session, Session)) async throws {
        await sides.1.close()
        while sides.0.endReason == nil { try await Task.sleep(for: .milliseconds(1)) }
        #expect(sides.0.endReason == .closedByPeer)
      }

      func on<Value: Sendable>(
        _ body: @escaping @Sendable (TunnelLoop, TunnelPeer) throws -> Value
      ) async throws -> Value {
        let loop = loop
        return try await loop.eventLoop.submit { try body(loop.value, try #require(loop.value.peers[0])) }.get()
      }

      func close() async {
        await client.close()
        await server.close()
        Glibc.close(outside)
      }
    }

    /// A peer that closes a session as soon as there is one is not asked for another at once,
    /// whether the loop or the reader of events notices, and it counts once.
    @Test(arguments: ["events", "loop"]) func aSessionThatIsClosedAtOnce(first: String) async throws {
      let stage = try await Stage()
      let sides = try await stage.connect()
      _ = try await stage.on { loop, _ in loop.attach(sides.0, to: 0) }
      stage.pass(seconds: 4)
      try await stage.end(sides)
      let place = sides.0.place
      try await stage.on { loop, peer in
        // Nobody was told, and it is known all the same.
        #expect(!peer.hasSession && TunnelReport.Peer(peer, at: loop.clock()).state != .up && peer.pathMTU == nil)
        let steps = [{ loop.record(.ended(place.id, .closedByPeer), of: place, peer: 0) }, { loop.tick() }]
        for step in first == "loop" ? steps.reversed() : steps { step() }
        #expect(peer.session == nil && peer.backoff.failures == 1 && !peer.isDialing)
        #expect(!peer.backoff.isDue(at: loop.clock()))
      }
      await stage.close()
    }

    /// A session that has worked for an hour and is closed just after a re-key has worked.
    @Test(arguments: ["events", "loop"]) func aSessionThatIsClosedAfterARekey(first: String) async throws {
      let stage = try await Stage()
      let sides = try await stage.connect()
      _ = try await stage.on { loop, _ in loop.attach(sides.0, to: 0) }
      let place = sides.0.place
      stage.pass(seconds: 3600)
      try await stage.on { loop, peer in
        loop.record(.rekeyed(place.id, chainLength: 9), of: place, peer: 0)
        #expect(peer.lastHandshake == loop.clock() && peer.chainLength == 9)
      }
      stage.pass(seconds: 1)
      try await stage.end(sides)
      try await stage.on { loop, peer in
        let steps = [{ loop.record(.ended(place.id, .closedByPeer), of: place, peer: 0) }, { loop.tick() }]
        for step in first == "loop" ? steps.reversed() : steps { step() }
        #expect(peer.session == nil && peer.backoff.failures == 0 && peer.backoff.isDue(at: loop.clock()))
      }
      await stage.close()
    }

    /// A session that has ended before it could be used counts as one that was closed at once.
    @Test func aSessionThatEndedBeforeItsUse() async throws {
      let stage = try await Stage()
      let sides = try await stage.connect()
      try await stage.end(sides)
      try await stage.on { loop, peer in
        #expect(loop.attach(sides.0, to: 0) != nil)
        #expect(peer.session == nil && peer.backoff.failures == 1)
      }
      await stage.close()
    }

    /// A late report about an earlier session changes nothing of a later one.
    @Test func theEndOfAnEarlierSession() async throws {
      let stage = try await Stage()
      let first = try await stage.connect()
      _ = try await stage.on { loop, _ in loop.attach(first.0, to: 0) }
      try await stage.end(first)
      let second = try await stage.connect()
      let place = first.0.place
      try await stage.on { loop, peer in
        _ = loop.attach(second.0, to: 0)
        loop.record(.ended(place.id, .closedByPeer), of: place, peer: 0)
        loop.tick()
        #expect(peer.hasSession && peer.backoff.failures == 0 && TunnelReport.Peer(peer, at: loop.clock()).state == .up)
      }
      await stage.close()
    }
  }
#endif

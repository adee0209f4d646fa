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

  /// The socket is full, as it is most of the time where the device brings more than the line
  /// takes. A pair of sockets is the device.
  @Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
  struct FullSocketTests {
    /// The line of the sending endpoint, whose socket can be full.
    private final class Line: Sendable {
      private let full = Atomic(false)
      var isFull: Bool {
        get { full.load(ordering: .relaxed) }
        set { full.store(newValue, ordering: .relaxed) }
      }
    }

    /// A peer that counts the packets which come to it, whatever session they come in.
    private final class Peer: Sendable {
      let endpoint: UDPEndpoint
      private let count = Mutex(0)
      private let serving = Mutex<Task<Void, Never>?>(nil)

      init() async throws {
        let provider = SwiftCryptoProvider()
        endpoint = try await UDPEndpoint.bind(
          host: "127.0.0.1", port: 0,
          configuration: EndpointConfiguration(
            staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow))
        let endpoint = endpoint
        serving.withLock {
          $0 = Task { [self] in
            await withDiscardingTaskGroup { group in
              for await handshake in endpoint.incoming {
                group.addTask {
                  guard let session = try? await handshake.accept() else { return }
                  for await message in session.messages where !message.isEmpty { self.count.withLock { $0 += 1 } }
                }
              }
            }
          }
        }
      }

      var received: Int { count.withLock { $0 } }

      /// Waits until more packets have come than `number`.
      func receives(moreThan number: Int) async throws {
        while received <= number { try await Task.sleep(for: .milliseconds(1)) }
      }

      func close() async {
        await endpoint.close()
        await serving.withLock { $0 }?.value
      }
    }

    /// The way from the device to peers, on an endpoint of its own.
    private struct Way {
      let client: UDPEndpoint
      let loop: NIOLoopBound<TunnelLoop>
      let outside: CInt

      init(_ peers: [Peer], line: Line) async throws {
        let provider = SwiftCryptoProvider()
        var options = UDPOptions()
        options.refusePiece = { _, _ in line.isFull ? EAGAIN : 0 }
        client = try await UDPEndpoint.bind(
          host: "127.0.0.1", port: 0,
          configuration: EndpointConfiguration(staticKey: provider.generateAgreementKey(), provider: provider),
          options: options)
        var pair: [CInt] = [0, 0]
        let kind = CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        try #require(socketpair(AF_UNIX, kind, 0, &pair) == 0)
        let inside = pair[0]
        let eventLoop = client.eventLoops[0]
        outside = pair[1]
        let table = PeerTable(
          peers.enumerated().map { number, peer in
            var configuration = PeerConfiguration(publicKey: peer.endpoint.publicKey)
            configuration.allowedIPs = [IPPrefix("10.0.0.\(number + 2)/32")].compactMap(\.self)
            return configuration
          })
        loop = try await eventLoop.submit {
          let device = TunDevice(descriptor: inside, name: "test0", segmentsTCP: false, segmentsUDP: false)
          let loop = TunnelLoop(
            device, mtu: 1400, on: eventLoop, drops: DropCounters(), wanted: AsyncStream<Int>.makeStream().continuation)
          loop.adopt(table)
          try loop.start { error in Issue.record("the device failed: \(error)") }
          return NIOLoopBound(loop, eventLoop: eventLoop)
        }.get()
      }

      /// Opens a new session, which the packets for a peer use from now on.
      func connect(_ peers: [Peer], number: Int) async throws -> Session {
        let peer = peers[number].endpoint
        let session = try await client.connect(to: peer.localAddress, key: peer.publicKey)
        _ = try await on { $0.attach(session, to: number) }
        return session
      }

      func on<Value: Sendable>(_ body: @escaping @Sendable (TunnelLoop) -> Value) async throws -> Value {
        let loop = loop
        return try await loop.eventLoop.submit { body(loop.value) }.get()
      }

      /// A packet for a peer comes out of the device, unless that has many already.
      func send(to number: Int) {
        let maker = PacketMaker(isTCP: false)
        var packet = maker.packet([UInt8](repeating: 7, count: 100))
        packet[19] = UInt8(number + 2)
        let bytes = [UInt8](repeating: 0, count: VirtioHeader.size) + packet
        _ = bytes.withUnsafeBytes { write(outside, $0.baseAddress, $0.count) }
      }

      /// Sends to a peer until the device is left alone because the socket is full.
      func fill(_ number: Int) async throws {
        while try await on({ !$0.waitsForRoom }) {
          send(to: number)
          try await Task.sleep(for: .milliseconds(1))
        }
      }

      func close() async throws {
        try await on { $0.stop() }
        await client.close()
        Glibc.close(outside)
      }
    }

    /// The session that found the socket full ends while it is full, and comes back as another,
    /// again and again: packets for it and for all others go on as soon as the socket takes them.
    @Test func theEndOfASessionDoesNotStopTheDevice() async throws {
      let line = Line()
      let peers = [try await Peer(), try await Peer()]
      let way = try await Way(peers, line: line)
      var first = try await way.connect(peers, number: 0)
      let second = try await way.connect(peers, number: 1)
      for round in 0..<10 {
        line.isFull = true
        try await way.fill(0)
        // It is the first's session that ends, or it ends and is replaced at once.
        await first.close()
        let before = peers.map(\.received)
        line.isFull = false
        while peers[1].received <= before[1] {
          way.send(to: 1)
          try await Task.sleep(for: .milliseconds(1))
        }
        first = try await way.connect(peers, number: 0)
        let again = peers[0].received
        while peers[0].received <= again {
          way.send(to: 0)
          try await Task.sleep(for: .milliseconds(1))
        }
        #expect(second.endReason == nil && first.endReason == nil, "round \(round)")
      }
      try await way.close()
      for peer in peers { await peer.close() }
    }

    /// A full socket that nobody empties is no reason to read the device, nor to wake up all the
    /// time.
    @Test func aFullSocketLeavesPacketsWithTheSystem() async throws {
      let line = Line()
      let peers = [try await Peer()]
      let way = try await Way(peers, line: line)
      let session = try await way.connect(peers, number: 0)
      line.isFull = true
      try await way.fill(0)
      // The endpoint ends in the meantime: whoever waits is let go, and the packets wait for
      // another session.
      await way.client.close()
      #expect(session.endReason == .closed)
      while try await way.on({ $0.waitsForRoom }) { try await Task.sleep(for: .milliseconds(1)) }
      for _ in 0..<100 where try await way.on({ $0.peers[0]?.waiting.isEmpty ?? true }) {
        way.send(to: 0)
        try await Task.sleep(for: .milliseconds(10))
      }
      #expect(try await way.on { $0.peers[0]?.waiting.isEmpty == false && $0.peers[0]?.session == nil })
      try await way.close()
      for peer in peers { await peer.close() }
    }
  }

  /// Packets that wait for a session are kept when the session that was opened for them ends before
  /// it could be used.
  @Suite(.tags(.fast))
  struct WaitingPacketTests {
    @Test func whatWaitsHasASessionOpened() async throws {
      let eventLoop = EpollEventLoopGroup.singleton.next()
      let (wanted, continuation) = AsyncStream<Int>.makeStream()
      let loop = try await eventLoop.submit {
        var pair: [CInt] = [0, 0]
        let kind = CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        try #require(socketpair(AF_UNIX, kind, 0, &pair) == 0)
        close(pair[1])
        let device = TunDevice(descriptor: pair[0], name: "test0", segmentsTCP: false, segmentsUDP: false)
        let loop = TunnelLoop(device, mtu: 1400, on: eventLoop, drops: DropCounters(), wanted: continuation)
        var peer = PeerConfiguration(publicKey: SwiftCryptoProvider().generateAgreementKey().publicKey)
        peer.endpoints = [try PeerEndpoint("192.0.2.1:20763")]
        loop.adopt(PeerTable([peer]))
        return NIOLoopBound(loop, eventLoop: eventLoop)
      }.get()
      try await eventLoop.submit {
        let loop = loop.value
        let peer = try #require(loop.peers[0])
        loop.hold([UInt8](repeating: 0, count: 100), for: peer, at: TunnelClock.now)
        #expect(peer.isDialing)
        // A session was opened, and had ended before it could carry what waits.
        loop.stopDialing(0)
        #expect(!peer.isDialing && !peer.waiting.isEmpty)
        loop.tick()
        #expect(peer.isDialing)
        // After an attempt that failed, the next one waits; of each kind of failure one is said.
        #expect(loop.dialingFailed(to: 0, failure: .noAddress("no such name")))
        loop.tick()
        #expect(!peer.isDialing && peer.failure?.kind == .noAddress)
        #expect(!loop.dialingFailed(to: 0, failure: .noAddress("no such name")))
        continuation.finish()
      }.get()
      var dialed = 0
      for await _ in wanted { dialed += 1 }
      #expect(dialed == 2)
    }
  }
#endif

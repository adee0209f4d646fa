// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import NIOCore
  import NIOPosix
  public import ZSSP
  import ZSSPNIO

  extension StormBenchmark {
    /// Runs a storm over loopback UDP. The responder is an endpoint with an event loop and a thread
    /// for its work; one thread plays all peers. All of them share one processor, so that the rate
    /// can be compared with the one in memory.
    ///
    /// - Parameters:
    ///   - fill: Makes the responder's store, with these states in it.
    ///   - finish: Called with the store at the end.
    /// - Throws: ``EndpointLink/Broken``, an error of an endpoint, or one of `fill` or `finish`.
    public static func overUDP<Store: RatchetStore>(
      _ provider: any CryptoProvider, peers count: Int, fill: ([PublicKey: RatchetPair]) async throws -> Store,
      finish: (Store) async throws -> Void
    ) async throws -> Storm {
      let placement = Placement()
      let loop = EpollEventLoopGroup.singleton.next()
      try await loop.submit { placement.pin(.own) }.get()
      let result: Result<Storm, any Error>
      do {
        result = .success(
          try await storm(provider, peers: count, on: loop, placed: placement, fill: fill, finish: finish))
      } catch {
        result = .failure(error)
      }
      try await loop.submit { placement.unpin() }.get()
      return try result.get()
    }

    private static func storm<Store: RatchetStore>(
      _ provider: any CryptoProvider, peers count: Int, on loop: any EventLoop, placed placement: Placement,
      fill: ([PublicKey: RatchetPair]) async throws -> Store, finish: (Store) async throws -> Void
    ) async throws -> Storm {
      let configuration = configuration(provider)
      let farm = try PeerFarm(count, provider, responder: configuration.staticKey.publicKey)
      let store = try await fill(farm.pairs)
      var options = UDPOptions()
      options.incomingBuffer = 4096
      let server = try await UDPEndpoint.bind(
        host: "127.0.0.1", port: 0, configuration: configuration, store: store, options: options, eventLoopGroup: loop)
      let accepting = Task {
        await withDiscardingTaskGroup { group in
          // A handshake that fails is begun anew by its peer, and counted there.
          for await handshake in server.incoming { group.addTask { _ = try? await handshake.accept() } }
        }
      }
      let result: Result<Storm, any Error>
      do { result = .success(try await farm.run(to: server.localAddress, placed: placement)) } catch {
        result = .failure(error)
      }
      await server.close()
      await accepting.value
      try await finish(store)
      return try result.get()
    }
  }

  /// A thread that plays all peers, each at an address of its own, with one socket.
  private final class PeerFarm: @unchecked Sendable {
    // `peers` is used by the thread that makes the farm, then by the one that runs it.
    private let peers: StormPeers
    private let outgoing: Outgoing

    /// The socket to which peers send.
    private final class Outgoing {
      let socket: CInt
      var target = czssp_address()

      init() throws {
        var any = czssp_address(high: 0, low: 0, scope: 0, port: 0, family: 4)
        var bound = czssp_address()
        socket = czssp_udp_open(&any, false, &bound)
        guard socket >= 0 else { throw EndpointLink.Broken(description: "no socket on loopback") }
        czssp_udp_set_buffers(socket, 4 << 20, 4 << 20)
      }

      deinit { czssp_close(socket) }

      /// Sends datagrams from a peer's address, which is one of 127.1.0.0/16: the responder gives
      /// each host its turn.
      func send(_ bytes: [UInt8], segmentSize: Int, from peer: Int) {
        var local = czssp_local(high: 0, low: 0x7F01_0000 + UInt64(peer), interface: 0, family: 4)
        bytes.withUnsafeBytes { bytes in
          for start in stride(from: 0, to: bytes.count, by: max(1, segmentSize)) {
            withUnsafePointer(to: &local) { local in
              var piece = czssp_outgoing(
                address: target, bytes: bytes.baseAddress.map { $0 + start }, local: local,
                length: UInt32(min(segmentSize, bytes.count - start)), segment_size: 0, traffic_class: 0)
              var count: CInt = 0
              // Datagrams that the system does not take are lost, as in a network.
              _ = czssp_udp_send(socket, &piece, 1, &count)
            }
          }
        }
      }
    }

    var pairs: [PublicKey: RatchetPair] { peers.pairs }

    init(_ count: Int, _ provider: any CryptoProvider, responder: PublicKey) throws {
      let outgoing = try Outgoing()
      self.outgoing = outgoing
      peers = try StormPeers(count, provider, responder: responder) { peer, bytes, segmentSize in
        outgoing.send(bytes, segmentSize: segmentSize, from: peer)
      }
    }

    /// Runs the storm on a thread of its own.
    func run(to address: SocketAddress, placed placement: Placement) async throws -> StormBenchmark.Storm {
      guard let address = Address(address) else { throw EndpointLink.Broken(description: "no IP address") }
      outgoing.target = czssp_address(
        high: address.high, low: address.low, scope: address.scope, port: address.port,
        family: address.family.rawValue)
      let pool = NIOThreadPool(numberOfThreads: 1)
      pool.start()
      let result: Result<StormBenchmark.Storm, any Error>
      do {
        result = .success(
          try await pool.runIfActive {
            placement.pin(.own)
            return try self.run(to: address)
          })
      } catch {
        result = .failure(error)
      }
      try await pool.shutdownGracefully()
      return try result.get()
    }

    private func run(to address: Address) throws -> StormBenchmark.Storm {
      guard let receiver = czssp_receiver_create(31), let poller = czssp_poller_create() else {
        throw EndpointLink.Broken(description: "no receive buffer")
      }
      defer {
        czssp_receiver_destroy(receiver)
        czssp_poller_destroy(poller)
      }
      czssp_poller_add(poller, outgoing.socket, 1)
      let clock = ContinuousClock()
      let began = clock.now
      func now() -> Instant { Instant(nanoseconds: 1_000_000_000 + Int64((clock.now - began) / .nanoseconds(1))) }
      let start = now()
      let processor = ProcessClock.now
      try peers.begin(to: address, at: start)
      var nextTimers = start
      var readiness = czssp_readiness()
      while !peers.areBack {
        let time = now()
        guard start.duration(to: time) < StormBenchmark.patience else { throw StormBenchmark.notOver(peers) }
        if time >= nextTimers {
          peers.fireTimers(at: time)
          nextTimers = time.advanced(by: .milliseconds(10))
        }
        let received = receive(receiver, from: address, at: time)
        let isBusy = peers.advanceWork(at: time)
        if !received, !isBusy { _ = czssp_poller_wait(poller, &readiness, 1, 1_000_000) }
      }
      return StormBenchmark.Storm(peers, since: start, took: ProcessClock.now - processor)
    }

    /// Receives what has arrived. Returns false if nothing had.
    private func receive(_ receiver: OpaquePointer, from address: Address, at now: Instant) -> Bool {
      let count = czssp_receiver_fill(receiver, outgoing.socket)
      guard count > 0 else { return false }
      for index in 0..<count {
        let piece = czssp_receiver_piece(receiver, index).pointee
        var datagram = MutableRawSpan(
          _unsafeStart: czssp_receiver_bytes(receiver, index), byteCount: Int(piece.length))
        peers.receive(&datagram, from: address, at: now)
      }
      return true
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import NIOCore
  import NIOPosix
  import ZSSP
  import ZSSPNIO

  /// A stranger's thread that sends complete, well-formed Hellos as fast as the system takes them.
  struct HelloFlood {
    /// The number of different Hellos, which are sent repeatedly.
    private static let variety = 16
    /// The number of source ports.
    private static let sources = 8

    let sent = SharedCount()
    private let target: czssp_address
    /// The datagrams of each Hello.
    private let hellos: [[[UInt8]]]

    /// Makes a flood to the endpoint with this address and static key.
    ///
    /// - Throws: ``EndpointLink/Broken``, or an error of the Hellos.
    init(_ provider: any CryptoProvider, at address: SocketAddress, key: PublicKey) throws {
      guard let address = Address(address) else { throw EndpointLink.Broken(description: "no IP address") }
      target = czssp_address(
        high: address.high, low: address.low, scope: address.scope, port: address.port,
        family: address.family.rawValue)
      hellos = try (0..<Self.variety).map { _ in try Self.hello(provider, to: key, at: address) }
    }

    /// Returns the datagrams of a Hello from a peer that the responder does not know.
    static func hello(_ provider: some CryptoProvider, to key: PublicKey, at address: Address) throws
      -> [[UInt8]]
    {
      var stranger = try Endpoint(
        EndpointConfiguration(staticKey: provider.generateAgreementKey(), provider: provider))
      let now = Instant(nanoseconds: 0)
      _ = try stranger.open(to: key, at: address, now: now)
      while let request = stranger.nextRequest() {
        switch request {
        case .store(let id, _): stranger.answer(id, store: .pair(.empty), at: now)
        case .work(let work): stranger.complete(work.run(), at: now)
        case .accept: break
        }
      }
      return stranger.outbox.runs.flatMap { run in
        stride(from: run.range.lowerBound, to: run.range.upperBound, by: run.segmentSize).map { start in
          let range = start..<min(start + run.segmentSize, run.range.upperBound)
          return stranger.outbox.bytes.extracting(range).withUnsafeBytes { Array($0) }
        }
      }
    }

    /// Floods while `body` runs.
    ///
    /// - Throws: The error of `body`.
    func whileRunning(placed placement: Placement, _ body: () async throws -> Void) async throws {
      let isOver = SharedFlag()
      let pool = NIOThreadPool(numberOfThreads: 1)
      pool.start()
      pool.submit { _ in
        placement.pin(.others)
        placement.humble()
        send(until: isOver)
      }
      let result: Result<Void, any Error>
      do { result = .success(try await body()) } catch { result = .failure(error) }
      isOver.set()
      try await pool.shutdownGracefully()
      try result.get()
    }

    private func send(until isOver: SharedFlag) {
      var any = czssp_address(high: 0, low: 0x7F00_0001, scope: 0, port: 0, family: 4)
      let sockets = (0..<Self.sources).map { _ in
        var bound = czssp_address()
        return czssp_udp_open(&any, false, &bound)
      }
      defer { for socket in sockets where socket >= 0 { czssp_close(socket) } }
      var turn = 0
      while !isOver.isSet {
        let hello = hellos[turn % hellos.count]
        let socket = sockets[turn / hellos.count % sockets.count]
        turn += 1
        for datagram in hello {
          datagram.withUnsafeBytes { bytes in
            var piece = czssp_outgoing(
              address: target, bytes: bytes.baseAddress, local: nil, length: UInt32(bytes.count), segment_size: 0,
              traffic_class: 0)
            var count: CInt = 0
            // Datagrams that the system does not take are lost, as in a network.
            _ = czssp_udp_send(socket, &piece, 1, &count)
          }
        }
        sent.add(1)
      }
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import NIOCore
  import NIOPosix
  import ZSSP
  import ZSSPNIO

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  /// A thread that plays several hosts. Each sends Hellos, solves every challenge, and repeats its
  /// answer.
  struct AnswerFlood {
    /// The number of Hellos per second and host.
    static let perSecond = 1000
    /// The number of Hellos that the thread may be late before it skips some.
    private static let largestBacklog = 20

    /// A host in its own network.
    private struct Host {
      let socket: CInt
      /// The datagrams of the Hello. The answer is at the end of the last one.
      var hello: [[UInt8]]
    }

    let sent = SharedCount()
    let solved = SharedCount()
    private let provider: any CryptoProvider
    private let target: czssp_address
    private let hellos: [[[UInt8]]]

    /// Makes a flood from several hosts to the endpoint with this address and static key.
    ///
    /// - Throws: ``EndpointLink/Broken``, or an error of the Hellos.
    init(hosts: Int, _ provider: any CryptoProvider, at address: SocketAddress, key: PublicKey) throws {
      guard let address = Address(address) else { throw EndpointLink.Broken(description: "no IP address") }
      target = czssp_address(
        high: address.high, low: address.low, scope: address.scope, port: address.port,
        family: address.family.rawValue)
      self.provider = provider
      hellos = try (0..<hosts).map { _ in try HelloFlood.hello(provider, to: key, at: address) }
    }

    /// Floods while `body` runs.
    ///
    /// - Throws: The error of `body`.
    func whileRunning<Value>(placed placement: Placement, _ body: () async throws -> Value) async throws -> Value {
      let isOver = SharedFlag()
      let pool = NIOThreadPool(numberOfThreads: 1)
      pool.start()
      pool.submit { _ in
        placement.pin(.others)
        placement.humble()
        flood(until: isOver)
      }
      let result: Result<Value, any Error>
      do { result = .success(try await body()) } catch { result = .failure(error) }
      isOver.set()
      try await pool.shutdownGracefully()
      return try result.get()
    }

    private func flood(until isOver: SharedFlag) {
      guard let receiver = czssp_receiver_create(8) else { return }
      defer { czssp_receiver_destroy(receiver) }
      var hosts = hellos.enumerated().map { number, hello in
        var address = czssp_address(
          high: 0, low: 0x7F01_0001 + UInt64(number) << 8, scope: 0, port: 0, family: Address.Family.ipv4.rawValue)
        var bound = czssp_address()
        return Host(socket: czssp_udp_open(&address, false, &bound), hello: hello)
      }
      defer { for host in hosts where host.socket >= 0 { czssp_close(host.socket) } }
      let clock = ContinuousClock()
      let start = clock.now
      var turns = 0
      while !isOver.isSet {
        let due = Int((clock.now - start) / .seconds(1) * Double(Self.perSecond))
        guard turns < due else {
          // A turn lasts a millisecond.
          usleep(200)
          continue
        }
        turns = max(turns + 1, due - Self.largestBacklog)
        for index in hosts.indices { act(for: &hosts[index], receivingFrom: receiver) }
      }
    }

    /// Solves the host's last challenge, if one arrived, and sends its Hello.
    private func act(for host: inout Host, receivingFrom receiver: OpaquePointer) {
      if let challenge = lastChallenge(of: host, receiver) {
        let answer = ProofOfWork.solve(challenge, from: provider.randomInteger(UInt64.self), provider: provider)
        let last = host.hello.count - 1
        host.hello[last].replaceSubrange((host.hello[last].count - PacketSize.challenge)..., with: answer.bytes)
        solved.add(1)
      }
      for datagram in host.hello {
        datagram.withUnsafeBytes { bytes in
          var piece = czssp_outgoing(
            address: target, bytes: bytes.baseAddress, local: nil, length: UInt32(bytes.count), segment_size: 0,
            traffic_class: 0)
          var count: CInt = 0
          // Datagrams that the system does not take are lost, as in a network.
          _ = czssp_udp_send(host.socket, &piece, 1, &count)
        }
      }
      sent.add(1)
    }

    private func lastChallenge(of host: Host, _ receiver: OpaquePointer) -> ChallengeResponse? {
      var challenge: ChallengeResponse?
      while true {
        let count = czssp_receiver_fill(receiver, host.socket)
        guard count > 0 else { return challenge }
        for index in 0..<count {
          let piece = czssp_receiver_piece(receiver, index).pointee
          let bytes = UnsafeRawBufferPointer(start: czssp_receiver_bytes(receiver, index), count: Int(piece.length))
          let span = RawSpan(_unsafeBytes: bytes)
          guard let header = FragmentHeader(span), header.type == PacketType.challenge.rawValue,
            span.byteCount == FragmentHeader.size + PacketSize.challengePacket
          else { continue }
          challenge = ChallengeResponse(span.extracting((FragmentHeader.size + KeyID.size)..<span.byteCount))
        }
      }
    }
  }
#endif

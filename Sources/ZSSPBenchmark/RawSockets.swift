// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import NIOPosix
  import Synchronization
  import ZSSP

  /// The limit that loopback UDP and the cipher set: one thread seals packets in place and sends
  /// them as super-datagrams, another receives and opens them.
  struct RawSockets {
    /// The socket buffer size of ``UDPEndpoint``.
    private static let bufferSize: CInt = 4 << 20
    /// The number of pieces that ``UDPEndpoint`` reads at once.
    private static let piecesAtOnce: CInt = 31
    /// The number of bytes that are sealed before they are sent.
    private static let chunk = UDPBenchmark.chunk

    private let provider: any CryptoProvider
    private let size: Int
    private let key: Secret
    private let sender: CInt
    private let receiver: CInt
    private let target: czssp_address

    /// Opens sockets for packets of `size` bytes, to which the length of the tag and a header is
    /// added.
    ///
    /// - Throws: ``EndpointLink/Broken``.
    init(_ provider: any CryptoProvider, size: Int) throws {
      var loopback = czssp_address(high: 0, low: 0x7F00_0001, scope: 0, port: 0, family: 4)
      var ignored = czssp_address()
      var target = czssp_address()
      sender = czssp_udp_open(&loopback, false, &ignored)
      receiver = czssp_udp_open(&loopback, false, &target)
      guard sender >= 0, receiver >= 0 else { throw EndpointLink.Broken(description: "no sockets on loopback") }
      for socket in [sender, receiver] { czssp_udp_set_buffers(socket, Self.bufferSize, Self.bufferSize) }
      // A kernel without receive offload is measured without it.
      czssp_udp_enable_receive_offload(receiver)
      self.provider = provider
      self.size = size
      self.target = target
      key = provider.random(32)
    }

    func close() {
      czssp_close(sender)
      czssp_close(receiver)
    }

    /// Returns the packets per second that were received and opened while `during` ran.
    func rate(during: () async throws -> Void) async throws -> Double {
      let isOver = SharedFlag()
      let received = SharedCount()
      let pool = NIOThreadPool(numberOfThreads: 2)
      pool.start()
      pool.submit { _ in send(until: isOver) }
      pool.submit { _ in receive(until: isOver, counting: received) }
      let rate = try await received.rate(during: during)
      isOver.set()
      try await pool.shutdownGracefully()
      return rate
    }

    private func send(until isOver: SharedFlag) {
      let packetKey = provider.packetKey(key)
      let datagram = size + 32
      let segments = max(1, min(64, 65_000 / datagram))
      let pieceCount = max(1, Self.chunk / (segments * datagram))
      var buffer = [UInt8](repeating: 0, count: pieceCount * segments * datagram)
      let message = [UInt8](repeating: 7, count: size)
      let segmentSize: UInt16 = czssp_udp_can_segment(sender) ? UInt16(datagram) : 0
      var counter: UInt64 = 0
      while !isOver.isSet {
        buffer.withMutableBytes { bytes in
          for start in stride(from: 0, to: bytes.byteCount, by: datagram) {
            var packet = bytes.slice(start + 16..<start + datagram)
            packetKey.seal(
              message.span.bytes, nonce: Nonce(type: 8, counter: counter), authenticating: RawSpan(), into: &packet)
            counter += 1
          }
        }
        buffer.withUnsafeBytes { bytes in
          let pieceSize = segmentSize > 0 ? segments * datagram : datagram
          let pieces = stride(from: 0, to: bytes.count, by: pieceSize).map { start in
            czssp_outgoing(
              address: target, bytes: bytes.baseAddress.map { $0 + start }, local: nil, length: UInt32(pieceSize),
              segment_size: segmentSize, traffic_class: 0)
          }
          var sent: CInt = 0
          // Datagrams that the system does not take are lost, as in a network.
          _ = czssp_udp_send(sender, pieces, CInt(pieces.count), &sent)
        }
      }
    }

    private func receive(until isOver: SharedFlag, counting received: SharedCount) {
      guard let pieces = czssp_receiver_create(Self.piecesAtOnce), let poller = czssp_poller_create() else { return }
      defer {
        czssp_receiver_destroy(pieces)
        czssp_poller_destroy(poller)
      }
      czssp_poller_add(poller, receiver, 1)
      let packetKey = provider.packetKey(key)
      let datagram = size + 32
      var readiness = czssp_readiness()
      // Packets are opened with a nonce that may be wrong, which costs the same.
      while !isOver.isSet {
        let count = czssp_receiver_fill(pieces, receiver)
        guard count > 0 else {
          _ = czssp_poller_wait(poller, &readiness, 1, 10_000_000)
          continue
        }
        for index in 0..<count {
          let length = Int(czssp_receiver_piece(pieces, index).pointee.length)
          var bytes = MutableRawSpan(_unsafeStart: czssp_receiver_bytes(pieces, index), byteCount: length)
          for start in stride(from: 0, through: length - datagram, by: datagram) {
            var packet = bytes.slice(start + 16..<start + datagram)
            _ = packetKey.open(&packet, nonce: Nonce(type: 8, counter: 0), authenticating: RawSpan())
          }
          received.add(length / datagram)
        }
      }
    }
  }
#endif

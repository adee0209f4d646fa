// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import ZSSP

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  /// Buffers that a socket reads into, reused for every burst.
  final class ReceivedPieces {
    /// The result of one read: a datagram, or several of one sender and one size.
    struct Piece {
      let bytes: UnsafeMutableRawBufferPointer
      /// The size in bytes of each datagram but the last, if there are several; otherwise 0.
      let segmentSize: Int
      /// The sender's address; nil if it is no IP address.
      let source: Address?
      /// The type of service or traffic class; 0 unless the socket reports it.
      let trafficClass: UInt8
    }

    let count: Int
    private let receiver: OpaquePointer
    private let locals: LocalAddresses
    private let gone: GoneAddresses
    /// The local address of the last piece, and its number.
    private var lastLocal = czssp_local()
    private var lastIndex: UInt8 = 0
    private var lastGeneration = 0

    /// Makes buffers for 1…1024 pieces of 64 KiB; nil without memory for them.
    ///
    /// - Parameters:
    ///   - count: The number of pieces, clamped to the range above.
    ///   - locals: The numbers of this host's own addresses.
    ///   - gone: The addresses that are gone, from which those of received pieces are removed.
    init?(count: Int, locals: LocalAddresses = LocalAddresses(), gone: GoneAddresses = GoneAddresses()) {
      self.count = min(max(1, count), 1024)
      self.locals = locals
      self.gone = gone
      guard let receiver = czssp_receiver_create(CInt(self.count)) else { return nil }
      self.receiver = receiver
    }

    deinit { czssp_receiver_destroy(receiver) }

    /// Reads until the socket is empty or the buffers are full. Returns the number of pieces, or a
    /// negative error number.
    func fill(from socket: CInt) -> Int { Int(czssp_receiver_fill(receiver, socket)) }

    /// Reads a burst and gives it to `owner`, which may send meanwhile.
    ///
    /// - Returns: The number of pieces, and the counters of the read.
    func read(
      _ socket: SystemSocket, into owner: any DatagramPortOwner, isSteered: Bool
    ) -> (count: Int, counters: SocketCounters) {
      var counters = SocketCounters()
      let count = fill(from: socket.descriptor)
      guard count >= 0 else {
        if count != -Int(EAGAIN) { counters.sendErrors += 1 }
        return (0, counters)
      }
      for index in 0..<count {
        let piece = self[index]
        counters.countRead(isSuper: piece.segmentSize > 0 && piece.segmentSize < piece.bytes.count)
        owner.receive(
          piece.bytes, segmentSize: piece.segmentSize, from: piece.source, isSteered: isSteered,
          trafficClass: piece.trafficClass)
      }
      owner.readComplete()
      return (count, counters)
    }

    /// A piece of the last read. It is valid until the next.
    subscript(index: Int) -> Piece {
      let incoming = czssp_receiver_piece(receiver, CInt(index)).pointee
      return Piece(
        bytes: UnsafeMutableRawBufferPointer(
          start: czssp_receiver_bytes(receiver, CInt(index)), count: Int(incoming.length)),
        segmentSize: Int(incoming.segment_size), source: Address(incoming.source)?.reached(at: number(incoming.local)),
        trafficClass: incoming.traffic_class)
    }

    /// Returns the number of a local address. Most pieces come to the same address as the one
    /// before.
    private func number(_ local: czssp_local) -> UInt8 {
      if !local.isSame(as: lastLocal) || lastGeneration != locals.generation {
        lastLocal = local
        lastIndex = locals.index(of: local)
        lastGeneration = locals.generation
      }
      if !gone.isEmpty { gone.remove(lastIndex) }
      return lastIndex
    }
  }
#endif

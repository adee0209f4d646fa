// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import ZSSP

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  /// Buffers that a socket reads into, used again for every burst.
  final class ReceivedPieces {
    /// What came in one piece: a datagram, or several of one sender and one size.
    struct Piece {
      let bytes: UnsafeMutableRawBufferPointer
      /// The size of each datagram but the last, if there are several; else 0.
      let segmentSize: Int
      /// Nil if that is no IP address.
      let source: Address?
      /// The type of service or traffic class, where that is asked for.
      let trafficClass: UInt8
    }

    let count: Int
    private let receiver: OpaquePointer
    private let locals: LocalAddresses
    private let gone: GoneAddresses
    /// The address that something came to last, and its number.
    private var lastLocal = czssp_local()
    private var lastIndex: UInt8 = 0
    private var lastGeneration = 0

    /// Buffers for 1…1024 pieces of 64 KiB; nil without memory for them.
    ///
    /// - Parameters:
    ///   - locals: has the numbers of this host's own addresses.
    ///   - gone: learns that something comes to an address.
    init?(count: Int, locals: LocalAddresses = LocalAddresses(), gone: GoneAddresses = GoneAddresses()) {
      self.count = min(max(1, count), 1024)
      self.locals = locals
      self.gone = gone
      guard let receiver = czssp_receiver_create(CInt(self.count)) else { return nil }
      self.receiver = receiver
    }

    deinit { czssp_receiver_destroy(receiver) }

    /// Reads what there is. Returns how many pieces there are, or a negative error number.
    func fill(from socket: CInt) -> Int { Int(czssp_receiver_fill(receiver, socket)) }

    /// Reads what there is and gives it to `owner`, who may send meanwhile.
    ///
    /// - Returns: how many pieces there were, and what is to be counted.
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

    /// A piece of the last read, until the next.
    subscript(index: Int) -> Piece {
      let incoming = czssp_receiver_piece(receiver, CInt(index)).pointee
      return Piece(
        bytes: UnsafeMutableRawBufferPointer(
          start: czssp_receiver_bytes(receiver, CInt(index)), count: Int(incoming.length)),
        segmentSize: Int(incoming.segment_size), source: Address(incoming.source)?.reached(at: number(incoming.local)),
        trafficClass: incoming.traffic_class)
    }

    /// The number of this host's own address. Most pieces come to that of the one before.
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

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import NIOCore
  import ZSSP

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  /// UDP sockets of Linux as the driver's: system calls and nothing between.
  ///
  /// A datagram that the system refuses to send is counted and dropped, and the socket goes on.
  final class SystemPort: DatagramPort {
    /// Bursts that are read before other sockets, timers and tasks get their turn.
    private static let burstsAtOnce = 4
    /// Bytes that are kept while the system takes none. What comes on top is dropped, as the network would.
    private static let backlogLimit = 4 << 20

    private let driver: Driver
    private let eventLoop: SystemEventLoop
    private let socket: SystemSocket
    private var watch: SystemEventLoop.Watch?
    private var hellos: HelloSocket?
    /// What is being given to the system. The array is kept, and its memory with it.
    private var pieces: [czssp_outgoing] = []
    private var backlog = SendBacklog()

    private init(_ socket: SystemSocket, _ driver: Driver, _ eventLoop: SystemEventLoop) {
      self.socket = socket
      self.driver = driver
      self.eventLoop = eventLoop
    }

    /// Gives the driver its sockets. To be called on the event loop.
    static func open(_ sockets: SystemSockets, at local: Address, for driver: Driver, on eventLoop: SystemEventLoop)
      throws
    {
      let port = SystemPort(sockets.data, driver, eventLoop)
      let options = driver.options
      let descriptor = sockets.data.descriptor
      czssp_udp_set_buffers(
        descriptor, CInt(clamping: options.receiveBufferSize ?? 0), CInt(clamping: options.sendBufferSize ?? 0))
      driver.offersSegmentationOffload(options.segmentationOffload && czssp_udp_can_segment(descriptor))
      driver.counters.isUsingReceiveOffload =
        options.receiveOffload && czssp_udp_enable_receive_offload(descriptor) == 0
      if let hellos = sockets.hellos { port.hellos = try HelloSocket(hellos, driver, eventLoop) }
      do {
        try port.watchData(isSteered: sockets.hellos != nil)
      } catch {
        port.close {}
        throw error
      }
      driver.socketOpened(port, localAddress: local.socketAddress)
    }

    private func watchData(isSteered: Bool) throws {
      guard let received = ReceivedPieces(count: driver.options.readBatch) else {
        throw IOError(errnoCode: ENOMEM, reason: "bind")
      }
      watch = try eventLoop.watch(socket) { [self] readiness in
        if readiness.can_write { becameWritable() }
        if readiness.can_read { read(into: received, isSteered: isSteered) }
      }
    }

    func close(_ completion: @escaping @Sendable () -> Void) {
      if let watch = watch.take() { eventLoop.end(watch) }
      hellos?.close()
      hellos = nil
      // Whoever closes may have been called by the socket. When the stack is unwound nobody holds the descriptors any more.
      eventLoop.execute(completion)
    }

    /// Reads what is there, but not for ever.
    private func read(into received: ReceivedPieces, isSteered: Bool) {
      for _ in 0..<Self.burstsAtOnce where watch != nil {
        guard received.read(socket, into: driver, isSteered: isSteered) == received.count else { break }
      }
    }

    // MARK: Sending

    var isWritable: Bool { watch != nil && backlog.isEmpty }
    var hasUnsent: Bool { !backlog.isEmpty }
    var unread: (datagrams: UInt64, hellos: UInt64) {
      (UInt64(czssp_udp_drops(socket.descriptor)), hellos?.unread ?? 0)
    }

    func send(_ batch: borrowing DatagramBatch) {
      batch.bytes.withUnsafeBytes { bytes in
        for run in batch.runs {
          run.forEachPiece(segmenting: driver.counters.isUsingSegmentationOffload) { range in
            pieces.append(
              czssp_outgoing(UnsafeRawBufferPointer(rebasing: bytes[range]), run.segmentSize, to: run.address))
          }
        }
        // What came before goes first.
        if backlog.isEmpty { transmit() } else { keep(pieces[...]) }
        pieces.removeAll(keepingCapacity: true)
      }
    }

    /// The system may take more.
    private func becameWritable() {
      backlog.take(into: &pieces)
      transmit()
      pieces.removeAll(keepingCapacity: true)
      backlog.forgetTaken()
      guard backlog.isEmpty else { return }
      watchForWriting(false)
      driver.drainSends()
    }

    private func watchForWriting(_ isWanted: Bool) {
      if let watch { eventLoop.change(watch, writing: isWanted) }
    }

    /// Gives ``pieces`` to the system, and keeps what it does not take.
    private func transmit() {
      var rest = pieces[...]
      while !rest.isEmpty {
        let (taken, error) = give(rest)
        count(rest.prefix(taken))
        rest = rest.dropFirst(taken)
        guard error != 0, let refused = rest.first else { continue }
        if error == EAGAIN || error == ENOBUFS { return keep(rest) }
        driver.socketFailed()
        rest = rest.dropFirst()
        if refused.segment_size > 0, Errno.segmentationRefused.contains(error) {
          rest = unsegmented(refused, error) + rest
        }
      }
    }

    private func give(_ pieces: ArraySlice<czssp_outgoing>) -> (taken: Int, error: CInt) {
      var pieces = pieces
      if let refusePiece = driver.options.refusePiece, let first = pieces.first {
        let error = refusePiece(first.segment_size > 0)
        if error != 0 { return (0, error) }
        pieces = pieces.prefix(1)
      }
      var taken: CInt = 0
      let error = pieces.withUnsafeBufferPointer {
        -czssp_udp_send(socket.descriptor, $0.baseAddress, CInt($0.count), &taken)
      }
      return (Int(taken), error)
    }

    private func count(_ sent: ArraySlice<czssp_outgoing>) {
      driver.counters.writes += UInt64(sent.count)
      for piece in sent where piece.segment_size > 0 { driver.counters.superDatagramsSent += 1 }
    }

    /// The kernel cannot segment, or not for this network device: from now on everything goes in single datagrams. Or it cannot for
    /// one destination: then that is all. A peer must not be able to slow down all others.
    private func unsegmented(_ piece: czssp_outgoing, _ error: CInt) -> ArraySlice<czssp_outgoing> {
      if !Errno.segmentationRefusedForOne.contains(error) { driver.counters.isUsingSegmentationOffload = false }
      return piece.datagrams[...]
    }

    private func keep(_ rest: ArraySlice<czssp_outgoing>) {
      for piece in rest {
        guard backlog.byteCount + Int(piece.length) <= Self.backlogLimit else {
          driver.counters.unsentDatagrams += UInt64(piece.datagramCount)
          continue
        }
        backlog.append(piece)
      }
      watchForWriting(true)
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import Glibc
  import NIOCore
  import ZSSP

  /// A UDP socket of Linux as the driver's: system calls and nothing between.
  ///
  /// A datagram that the system refuses to send is counted and dropped, and the socket goes on.
  final class SystemPort: DatagramPort {
    /// Bursts that are read before timers and tasks get their turn.
    private static let burstsAtOnce = 4
    /// Bytes that are kept while the system takes none. What comes on top is dropped, as the network would.
    private static let backlogLimit = 4 << 20

    let descriptor: CInt
    private let driver: Driver
    private let eventLoop: SystemEventLoop
    private let received: ReceivedPieces
    private var tag: UInt64?
    /// What is being given to the system. The array is kept, and its memory with it.
    private var pieces: [czssp_outgoing] = []
    private var backlog = SendBacklog()

    private init(_ descriptor: CInt, _ received: ReceivedPieces, _ driver: Driver, _ eventLoop: SystemEventLoop) {
      self.descriptor = descriptor
      self.received = received
      self.driver = driver
      self.eventLoop = eventLoop
    }

    deinit { czssp_close(descriptor) }

    /// Binds a socket to `address` and says where it is bound. To be called on the event loop.
    static func bind(
      to address: SocketAddress, for driver: Driver, on eventLoop: SystemEventLoop
    ) -> EventLoopFuture<SocketAddress> {
      do {
        return eventLoop.makeSucceededFuture(try open(address, driver, eventLoop))
      } catch {
        return eventLoop.makeFailedFuture(error)
      }
    }

    private static func open(
      _ address: SocketAddress, _ driver: Driver, _ eventLoop: SystemEventLoop
    ) throws -> SocketAddress {
      guard let wanted = Address(address) else { throw IOError(errnoCode: EAFNOSUPPORT, reason: "bind") }
      var name = czssp_address(wanted)
      var bound = czssp_address()
      let descriptor = czssp_udp_open(&name, false, &bound)
      guard descriptor >= 0 else { throw IOError(errnoCode: -descriptor, reason: "bind") }
      guard let received = ReceivedPieces(count: driver.options.readBatch), let local = Address(bound) else {
        czssp_close(descriptor)
        throw IOError(errnoCode: ENOMEM, reason: "bind")
      }
      let port = SystemPort(descriptor, received, driver, eventLoop)
      port.configure()
      port.tag = eventLoop.add(port)
      guard port.tag != nil else { throw IOError(errnoCode: errno, reason: "epoll_ctl") }
      driver.socketOpened(port, localAddress: local.socketAddress)
      return local.socketAddress
    }

    private func configure() {
      let options = driver.options
      czssp_udp_set_buffers(
        descriptor, CInt(clamping: options.receiveBufferSize ?? 0), CInt(clamping: options.sendBufferSize ?? 0))
      driver.offersSegmentationOffload(options.segmentationOffload && czssp_udp_can_segment(descriptor))
      driver.counters.isUsingReceiveOffload =
        options.receiveOffload && czssp_udp_enable_receive_offload(descriptor) == 0
    }

    func close(_ completion: @escaping @Sendable () -> Void) {
      if let tag = tag.take() { eventLoop.remove(self, tag) }
      completion()
    }

    // MARK: Receiving

    /// Reads what is there, but not for ever.
    func becameReadable() {
      for _ in 0..<Self.burstsAtOnce where tag != nil {
        let count = received.fill(from: descriptor)
        guard count >= 0 else {
          if count != -EAGAIN { driver.socketFailed() }
          break
        }
        for index in 0..<count {
          let piece = received[index]
          driver.receive(piece.bytes, segmentSize: piece.segmentSize, from: piece.source)
        }
        driver.readComplete()
        if count < received.count { break }
      }
    }

    // MARK: Sending

    var isWritable: Bool { tag != nil && backlog.isEmpty }
    var hasUnsent: Bool { !backlog.isEmpty }

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
    func becameWritable() {
      backlog.take(into: &pieces)
      transmit()
      pieces.removeAll(keepingCapacity: true)
      guard backlog.isEmpty else { return }
      backlog.removeAll()
      if let tag { eventLoop.watch(self, tag, forWriting: false) }
      driver.drainSends()
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
        if refused.segment_size > 0, Errno.segmentationRefused.contains(error) { rest = unsegmented(refused) + rest }
      }
    }

    private func give(_ pieces: ArraySlice<czssp_outgoing>) -> (taken: Int, error: CInt) {
      if let refusePiece = driver.options.refusePiece, let first = pieces.first {
        let error = refusePiece(first.segment_size > 0)
        if error != 0 { return (0, error) }
      }
      var taken: CInt = 0
      let error = pieces.withUnsafeBufferPointer {
        -czssp_udp_send(descriptor, $0.baseAddress, CInt($0.count), &taken)
      }
      return (Int(taken), error)
    }

    private func count(_ sent: ArraySlice<czssp_outgoing>) {
      driver.counters.writes += UInt64(sent.count)
      for piece in sent where piece.segment_size > 0 { driver.counters.superDatagramsSent += 1 }
    }

    /// The kernel cannot segment, or not for this network device: from now on everything goes in single datagrams.
    private func unsegmented(_ piece: czssp_outgoing) -> ArraySlice<czssp_outgoing> {
      driver.counters.isUsingSegmentationOffload = false
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
      if let tag { eventLoop.watch(self, tag, forWriting: true) }
    }
  }
#endif

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

  /// The UDP sockets of a shard on Linux, accessed directly by system calls.
  ///
  /// A datagram that the system refuses to send is counted and dropped, and the socket stays open.
  /// Datagrams that it does not take *now* are kept, and sent again; see ``SendRetry``.
  final class LinuxUDPPort: DatagramPort {
    /// The number of bursts read before other sockets, timers and tasks get their turn.
    private static let burstsAtOnce = 4
    /// The maximum number of bytes kept while the system takes none. Further datagrams are dropped,
    /// as the network would.
    private static let backlogLimit = 4 << 20

    private let owner: any DatagramPortOwner
    private let options: UDPOptions
    private let eventLoop: EpollEventLoop
    private let socket: SystemSocket
    private var watch: EpollEventLoop.Watch?
    private var hellos: HelloSocket?
    private let locals = LocalAddresses()
    /// This host's addresses from which the system no longer sends.
    private let gone = GoneAddresses()
    /// Datagrams that were too large for the network device since the last ``takeTooLarge()``.
    private var tooLarge = RefusedDatagrams()
    /// The pieces that are being given to the system. The array is kept for its memory.
    private var pieces: [czssp_outgoing] = []
    private var backlog = SendBacklog()
    /// The counters of the data socket.
    private var counted = SocketCounters()
    private var retry = SendRetry()
    /// Pending while the backlog waits for a time, and not for a writable socket.
    private var retryTimer: Scheduled<Void>?

    private init(
      _ socket: SystemSocket, for owner: any DatagramPortOwner, options: UDPOptions, on eventLoop: EpollEventLoop
    ) {
      self.socket = socket
      self.owner = owner
      self.options = options
      self.eventLoop = eventLoop
      locals.inUse = { [weak self] in
        self?.localIndexesInUse() ?? [Bool](repeating: true, count: LocalAddresses.limit + 1)
      }
    }

    /// Opens a port with the sockets of a shard. Must be called on the event loop.
    ///
    /// - Parameters:
    ///   - sockets: The sockets, which are bound.
    ///   - local: The address to which they are bound.
    ///   - owner: Receives what they read, on `eventLoop`.
    /// - Throws: `IOError` if the system cannot watch them.
    static func open(
      _ sockets: SystemSockets, at local: Address, for owner: any DatagramPortOwner, options: UDPOptions,
      on eventLoop: EpollEventLoop
    ) throws {
      let port = LinuxUDPPort(sockets.data, for: owner, options: options, on: eventLoop)
      let descriptor = sockets.data.descriptor
      for descriptor in [descriptor, sockets.hellos?.descriptor].compactMap(\.self) {
        prepare(descriptor, at: local, options: options)
      }
      czssp_udp_set_buffers(
        descriptor, CInt(clamping: options.receiveBufferSize ?? 0), CInt(clamping: options.sendBufferSize ?? 0))
      port.counted.isUsingSegmentationOffload = options.segmentationOffload && czssp_udp_can_segment(descriptor)
      port.counted.isUsingReceiveOffload =
        options.receiveOffload && czssp_udp_enable_receive_offload(descriptor) == 0
      if let hellos = sockets.hellos {
        port.hellos = try HelloSocket(
          hellos, for: owner, options: options, locals: port.locals, gone: port.gone, on: eventLoop)
      }
      do {
        try port.watchData(isSteered: sockets.hellos != nil)
      } catch {
        port.close {}
        throw error
      }
      owner.portOpened(port, localAddress: local.socketAddress)
    }

    /// Sets the options that data and Hello sockets share. A kernel without one of them keeps its
    /// older behaviour.
    private static func prepare(_ descriptor: CInt, at local: Address, options: UDPOptions) {
      // [DEC-86]
      // A socket that is bound to one address always sends from it.
      if local.isWildcard { czssp_udp_report_local(descriptor) }
      if options.reportsTrafficClass { czssp_udp_report_traffic_class(descriptor) }
      czssp_udp_forbid_fragments(descriptor, options.fragmentation == .forbidden)
    }

    private func watchData(isSteered: Bool) throws {
      guard let received = ReceivedPieces(count: options.readBatch, locals: locals, gone: gone) else {
        throw IOError(errnoCode: ENOMEM, reason: "bind")
      }
      watch = try eventLoop.watch(socket) { [self] readiness in
        if readiness.can_write { sendAgain(isWritable: true) }
        if readiness.can_read { read(into: received, isSteered: isSteered) }
      }
    }

    func close(_ completion: @escaping @Sendable () -> Void) {
      if let watch = watch.take() { eventLoop.end(watch) }
      hellos?.close()
      retryTimer?.cancel()
      retryTimer = nil
      counted.unsentDatagrams += UInt64(backlog.datagramCount)
      // The socket itself may have called this. When the stack has unwound, nothing holds the
      // descriptors any more.
      eventLoop.execute(completion)
    }

    /// Reads a limited number of bursts.
    private func read(into received: ReceivedPieces, isSteered: Bool) {
      for _ in 0..<Self.burstsAtOnce where watch != nil {
        let read = received.read(socket, into: owner, isSteered: isSteered)
        counted.addCounts(of: read.counters)
        guard read.count == received.count else { break }
      }
    }

    // MARK: Own addresses

    /// Returns which numbers of own addresses the endpoint or a waiting datagram may send from.
    private func localIndexesInUse() -> [Bool] {
      var isInUse = owner.localIndexesInUse()
      for local in backlog.locals + pieces.compactMap(\.local) { isInUse[Int(locals.index(of: local))] = true }
      return isInUse
    }

    func ownAddress(_ index: UInt8) -> OwnAddress? { locals[index].map { OwnAddress($0.pointee) } }

    func localIndex(of own: OwnAddress) -> UInt8 {
      let index = locals.index(of: czssp_local(own))
      // The socket of another shard has just received something at this address.
      gone.remove(index)
      return index
    }

    // MARK: Sending

    var isWritable: Bool { watch != nil && backlog.isEmpty }
    var hasUnsent: Bool { !backlog.isEmpty }
    var counters: SocketCounters {
      var counters = counted
      counters.unreadDatagrams = UInt64(czssp_udp_drops(socket.descriptor))
      if let hellos { counters.addCounts(of: hellos.counters) }
      return counters
    }

    func send(_ batch: borrowing DatagramBatch) {
      batch.bytes.withUnsafeBytes { bytes in
        for run in batch.runs {
          let index = run.address.localIndex
          let local = gone.contains(index) ? nil : locals[index]
          run.forEachPiece(segmenting: counted.isUsingSegmentationOffload) { range in
            pieces.append(
              czssp_outgoing(
                UnsafeRawBufferPointer(rebasing: bytes[range]), segmentSize: run.segmentSize, to: run.address,
                from: local, trafficClass: run.trafficClass))
          }
        }
        // The backlog goes first.
        if backlog.isEmpty { transmit(wasWritable: false) } else { keep(pieces[...]) }
        pieces.removeAll(keepingCapacity: true)
      }
    }

    /// Retries the backlog, because the socket is writable or a pause is over.
    private func sendAgain(isWritable: Bool) {
      retryTimer?.cancel()
      retryTimer = nil
      guard watch != nil, !backlog.isEmpty else { return }
      backlog.take(into: &pieces)
      transmit(wasWritable: isWritable)
      pieces.removeAll(keepingCapacity: true)
      backlog.forgetTaken()
      guard backlog.isEmpty else { return }
      watchForWriting(false)
      owner.portHasRoom()
    }

    private func watchForWriting(_ isWanted: Bool) {
      if let watch { eventLoop.change(watch, writing: isWanted) }
    }

    /// Schedules the retry of the backlog.
    private func waitForRoom(_ action: SendRetry.Action) {
      guard case .after(let pause) = action else { return watchForWriting(true) }
      // A writable socket would wake the event loop permanently.
      watchForWriting(false)
      let bound = NIOLoopBound(self, eventLoop: eventLoop)
      retryTimer = eventLoop.scheduleTask(in: .nanoseconds(pause.nanoseconds)) {
        bound.value.retryTimer = nil
        bound.value.sendAgain(isWritable: false)
      }
    }

    /// Gives ``pieces`` to the system, and keeps what it does not take. `wasWritable` is true if
    /// epoll has just reported a writable socket.
    private func transmit(wasWritable: Bool) {
      var rest = pieces[...]
      var wasWritable = wasWritable
      while !rest.isEmpty {
        let (taken, error) = give(rest)
        count(rest.prefix(taken))
        rest = rest.dropFirst(taken)
        if taken > 0 {
          retry.progressed()
          wasWritable = false
        }
        guard error != 0, let refused = rest.first else { continue }
        if Errno.notNow.contains(error) {
          let action = retry.refused(isFull: error == EAGAIN, wasWritable: wasWritable)
          if action != .drop {
            keep(rest)
            return waitForRoom(action)
          }
        }
        if let local = refused.local, Errno.mayMeanNoSource.contains(error) {
          // Retry from a source that the system chooses: losing the datagram would be worse.
          forgetLocal(local, in: &rest)
          continue
        }
        rest = rest.dropFirst()
        counted.sendErrors += 1
        if refused.segment_size > 0, Errno.segmentationRefused.contains(error) {
          rest = unsegmented(refused, after: error) + rest
        } else if error == EMSGSIZE {
          tooLarge.append(refused)
        }
      }
    }

    // [DEC-86]
    /// Called when the system refused to send from an address of this host. If the host no longer
    /// has it, the system chooses the source of all pieces until a datagram comes to that address
    /// again; otherwise that of the first piece only.
    private func forgetLocal(_ local: UnsafePointer<czssp_local>, in pieces: inout ArraySlice<czssp_outgoing>) {
      guard !local.pointee.exists else {
        if !pieces.isEmpty { pieces[pieces.startIndex].local = nil }
        return
      }
      gone.insert(locals.index(of: local))
      for index in pieces.indices where pieces[index].local == local { pieces[index].local = nil }
    }

    func takeTooLarge() -> [RefusedDatagram] { tooLarge.take() }

    private func give(_ pieces: ArraySlice<czssp_outgoing>) -> (taken: Int, error: CInt) {
      var pieces = pieces
      if let refusePiece = options.refusePiece, let first = pieces.first {
        let error = refusePiece(Int(first.length), first.segment_size > 0)
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
      counted.writes += UInt64(sent.count)
      for piece in sent where piece.segment_size > 0 { counted.superDatagramsSent += 1 }
    }

    /// Splits a piece that the kernel refused to segment. If it cannot segment at all, or not for
    /// this network device, segmenting ends. If it cannot for one destination, only this piece is
    /// split: a peer must not be able to slow down others.
    private func unsegmented(_ piece: czssp_outgoing, after error: CInt) -> ArraySlice<czssp_outgoing> {
      if !Errno.segmentationRefusedForOne.contains(error) { counted.isUsingSegmentationOffload = false }
      return piece.datagrams[...]
    }

    private func keep(_ rest: ArraySlice<czssp_outgoing>) {
      for piece in rest {
        guard backlog.byteCount + Int(piece.length) <= Self.backlogLimit else {
          counted.unsentDatagrams += UInt64(piece.datagramCount)
          continue
        }
        backlog.append(piece)
      }
    }
  }
#endif

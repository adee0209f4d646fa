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

  /// UDP sockets of Linux: system calls and nothing between.
  ///
  /// A datagram that the system refuses to send is counted and dropped, and the socket goes on.
  /// What it does not take *now* is kept, and offered again; see ``SendRetry``.
  final class SystemPort: DatagramPort {
    /// Bursts that are read before other sockets, timers and tasks get their turn.
    private static let burstsAtOnce = 4
    /// Bytes that are kept while the system takes none. What comes on top is dropped, as the network would.
    private static let backlogLimit = 4 << 20
    /// Datagrams that were too large are remembered up to this number; the others come again.
    private static let refusalLimit = 16

    private let owner: any DatagramPortOwner
    private let options: UDPOptions
    private let eventLoop: SystemEventLoop
    private let socket: SystemSocket
    private var watch: SystemEventLoop.Watch?
    private var hellos: HelloSocket?
    private let locals = LocalAddresses()
    /// Addresses of this host's that the system does not send from any more.
    private let gone = GoneAddresses()
    /// Datagrams that were too large for the network device since they were asked for.
    private var tooLarge: [RefusedDatagram] = []
    /// What is being given to the system. The array is kept, and its memory with it.
    private var pieces: [czssp_outgoing] = []
    private var backlog = SendBacklog()
    /// What the data socket has counted.
    private var counted = SocketCounters()
    private var retry = SendRetry()
    /// Runs while the backlog is to be offered again at a time, and not when the socket can be
    /// written to.
    private var retryTimer: Scheduled<Void>?

    private init(
      _ socket: SystemSocket, for owner: any DatagramPortOwner, _ options: UDPOptions, on eventLoop: SystemEventLoop
    ) {
      self.socket = socket
      self.owner = owner
      self.options = options
      self.eventLoop = eventLoop
      locals.inUse = { [weak self] in
        self?.localIndexesInUse() ?? [Bool](repeating: true, count: LocalAddresses.limit + 1)
      }
    }

    /// Opens a port with the sockets of a shard. To be called on the event loop.
    ///
    /// - Parameters:
    ///   - sockets: the sockets, which are bound.
    ///   - local: where they are bound.
    ///   - owner: takes what they read, on `eventLoop`.
    /// - Throws: `IOError` if the system cannot watch them.
    static func open(
      _ sockets: SystemSockets, at local: Address, for owner: any DatagramPortOwner, _ options: UDPOptions,
      on eventLoop: SystemEventLoop
    ) throws {
      let port = SystemPort(sockets.data, for: owner, options, on: eventLoop)
      let descriptor = sockets.data.descriptor
      for descriptor in [descriptor, sockets.hellos?.descriptor].compactMap(\.self) {
        prepare(descriptor, at: local, options)
      }
      czssp_udp_set_buffers(
        descriptor, CInt(clamping: options.receiveBufferSize ?? 0), CInt(clamping: options.sendBufferSize ?? 0))
      port.counted.isUsingSegmentationOffload = options.segmentationOffload && czssp_udp_can_segment(descriptor)
      port.counted.isUsingReceiveOffload =
        options.receiveOffload && czssp_udp_enable_receive_offload(descriptor) == 0
      if let hellos = sockets.hellos {
        port.hellos = try HelloSocket(hellos, for: owner, options, port.locals, port.gone, on: eventLoop)
      }
      do {
        try port.watchData(isSteered: sockets.hellos != nil)
      } catch {
        port.close {}
        throw error
      }
      owner.portOpened(port, localAddress: local.socketAddress)
    }

    /// Sets what all sockets have in common. A kernel without one of these does as it did before there was such a thing.
    private static func prepare(_ descriptor: CInt, at local: Address, _ options: UDPOptions) {
      // [DEC-86]
      // A socket that is bound to one address sends from there.
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
      // Whoever closes may have been called by the socket. When the stack is unwound nobody holds the descriptors any more.
      eventLoop.execute(completion)
    }

    /// Reads what is there, but not for ever.
    private func read(into received: ReceivedPieces, isSteered: Bool) {
      for _ in 0..<Self.burstsAtOnce where watch != nil {
        let read = received.read(socket, into: owner, isSteered: isSteered)
        counted.addCounts(of: read.counters)
        guard read.count == received.count else { break }
      }
    }

    // MARK: Own addresses

    /// Which numbers of own addresses the endpoint, or what waits for room, may send from.
    private func localIndexesInUse() -> [Bool] {
      var isInUse = owner.localIndexesInUse()
      for local in backlog.locals + pieces.compactMap(\.local) { isInUse[Int(locals.index(of: local))] = true }
      return isInUse
    }

    func ownAddress(_ index: UInt8) -> OwnAddress? { locals[index].map { OwnAddress($0.pointee) } }

    func localIndex(of own: OwnAddress) -> UInt8 {
      let index = locals.index(of: czssp_local(own))
      // Another shard's socket has just had something that came there.
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
                UnsafeRawBufferPointer(rebasing: bytes[range]), run.segmentSize, to: run.address, from: local,
                trafficClass: run.trafficClass))
          }
        }
        // What came before goes first.
        if backlog.isEmpty { transmit(wasWritable: false) } else { keep(pieces[...]) }
        pieces.removeAll(keepingCapacity: true)
      }
    }

    /// The system may take more, because it says so or because some time has passed.
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

    /// Sees to it that what was kept is offered again.
    private func waitForRoom(_ action: SendRetry.Action) {
      guard case .after(let pause) = action else { return watchForWriting(true) }
      // A socket that is writable would wake the event loop all the time.
      watchForWriting(false)
      let bound = NIOLoopBound(self, eventLoop: eventLoop)
      retryTimer = eventLoop.scheduleTask(in: .nanoseconds(pause.nanoseconds)) {
        bound.value.retryTimer = nil
        bound.value.sendAgain(isWritable: false)
      }
    }

    /// Gives ``pieces`` to the system, and keeps what it does not take. `wasWritable` is whether
    /// epoll has just said that it would.
    private func transmit(wasWritable: Bool) {
      var (rest, wasWritable) = (pieces[...], wasWritable)
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
          // Once more from where the system chooses: no address of ours is worth losing a datagram.
          forgetLocal(local, in: &rest)
          continue
        }
        rest = rest.dropFirst()
        counted.sendErrors += 1
        if refused.segment_size > 0, Errno.segmentationRefused.contains(error) {
          rest = unsegmented(refused, error) + rest
        } else if error == EMSGSIZE {
          recordTooLarge(refused)
        }
      }
    }

    // [DEC-86]
    /// The system has refused a piece that was to leave from an address of this host. If the host does not have it any more, the system
    /// chooses another for all, until something comes to that one again; else for the first piece only.
    private func forgetLocal(_ local: UnsafePointer<czssp_local>, in pieces: inout ArraySlice<czssp_outgoing>) {
      guard !local.pointee.exists else {
        if !pieces.isEmpty { pieces[pieces.startIndex].local = nil }
        return
      }
      gone.insert(locals.index(of: local))
      for index in pieces.indices where pieces[index].local == local { pieces[index].local = nil }
    }

    private func recordTooLarge(_ piece: czssp_outgoing) {
      guard tooLarge.count < Self.refusalLimit, let address = Address(piece.address) else { return }
      let refused = RefusedDatagram(address: address, size: Int(piece.length))
      if tooLarge.last != refused { tooLarge.append(refused) }
    }

    func takeTooLarge() -> [RefusedDatagram] {
      guard !tooLarge.isEmpty else { return [] }
      defer { tooLarge = [] }
      return tooLarge
    }

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

    /// The kernel cannot segment, or not for this network device: from now on everything goes in single datagrams. Or it cannot for
    /// one destination: then that is all. A peer must not be able to slow down all others.
    private func unsegmented(_ piece: czssp_outgoing, _ error: CInt) -> ArraySlice<czssp_outgoing> {
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

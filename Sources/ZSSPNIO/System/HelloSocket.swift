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

  /// The socket that Hellos come to. A flood of them gets part of the event loop's time and no more: data waits for a few of them
  /// at most, and the loop comes to rest, so that the system lets it run at once when data comes.
  final class HelloSocket {
    /// Pieces that are read before everything else gets its turn, a Hello each or several that came together…
    private static let atOnce = 4
    /// …and the bytes of them that the kernel keeps. Under a flood, what waits longer is too old to be answered.
    private static let bufferSize: CInt = 256 << 10

    private let socket: SystemSocket
    private let owner: any DatagramPortOwner
    private let eventLoop: SystemEventLoop
    private let received: ReceivedPieces
    private var watch: SystemEventLoop.Watch?
    private var share = HelloShare()
    private var counted = SocketCounters()
    private var resting: Scheduled<Void>?

    /// Reads from a socket for `owner`, on its event loop.
    init(
      _ socket: SystemSocket, for owner: any DatagramPortOwner, _ options: UDPOptions, _ locals: LocalAddresses,
      _ gone: GoneAddresses, on eventLoop: SystemEventLoop
    ) throws {
      guard let received = ReceivedPieces(count: Self.atOnce, locals: locals, gone: gone) else {
        throw IOError(errnoCode: ENOMEM, reason: "bind")
      }
      self.socket = socket
      self.owner = owner
      self.eventLoop = eventLoop
      self.received = received
      czssp_udp_set_buffers(socket.descriptor, Self.bufferSize, 0)
      // The kernel puts datagrams together before it steers them, and asks any socket of the port whether it may.
      if options.receiveOffload { czssp_udp_enable_receive_offload(socket.descriptor) }
      watch = try eventLoop.watch(socket) { [self] _ in read() }
    }

    /// What the socket has counted.
    var counters: SocketCounters {
      var counters = counted
      counters.unreadHellos = UInt64(czssp_udp_drops(socket.descriptor))
      return counters
    }

    func close() {
      if let watch = watch.take() { eventLoop.end(watch) }
      resting?.cancel()
    }

    private func read() {
      let start = Instant.loopTime
      counted.addCounts(of: received.read(socket, into: owner, isSteered: false).counters)
      if let next = share.spend(from: start, to: Instant.loopTime) { rest(until: next) }
    }

    /// Leaves Hellos where they are until then.
    private func rest(until next: Instant) {
      guard let watch else { return }
      eventLoop.change(watch, reading: false)
      let bound = NIOLoopBound(self, eventLoop: eventLoop)
      resting = eventLoop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(clamping: next.nanoseconds))) {
        let socket = bound.value
        if let watch = socket.watch { socket.eventLoop.change(watch) }
      }
    }
  }

  /// The part of an event loop's time that Hellos get.
  struct HelloShare {
    /// The time in which no more than ``share`` is spent on them.
    static let window = Duration.milliseconds(2)
    /// What is spent on them at most, but for the last that were read at once.
    static let share = Duration.milliseconds(1)

    private var windowEnd = Instant(nanoseconds: .min)
    private var spent = Duration.zero

    /// Counts time that was spent on Hellos.
    ///
    /// - Returns: when the next may be read; nil for at once.
    mutating func spend(from start: Instant, to end: Instant) -> Instant? {
      if start >= windowEnd { (windowEnd, spent) = (start.advanced(by: Self.window), .zero) }
      spent += start.duration(to: end)
      return spent >= Self.share ? windowEnd : nil
    }
  }
#endif

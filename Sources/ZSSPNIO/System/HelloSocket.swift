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

  /// The socket that receives Hellos. A flood of them gets a limited part of the event loop's time:
  /// data waits for a few Hellos at most, and the loop sleeps in between, so that the system
  /// schedules it at once when data arrives.
  final class HelloSocket {
    /// The number of pieces read before other work of the event loop, each a Hello or a
    /// super-datagram.
    private static let atOnce = 4
    /// The size in bytes of the kernel's receive buffer. Under a flood, Hellos that wait longer are
    /// too old to be answered.
    private static let bufferSize: CInt = 256 << 10

    private let socket: SystemSocket
    private let owner: any DatagramPortOwner
    private let eventLoop: EpollEventLoop
    private let received: ReceivedPieces
    private var watch: EpollEventLoop.Watch?
    private var share = HelloShare()
    private var counted = SocketCounters()
    private var resting: Scheduled<Void>?

    /// Starts reading from a socket for `owner`, on its event loop.
    init(
      _ socket: SystemSocket, for owner: any DatagramPortOwner, options: UDPOptions, locals: LocalAddresses,
      gone: GoneAddresses, on eventLoop: EpollEventLoop
    ) throws {
      guard let received = ReceivedPieces(count: Self.atOnce, locals: locals, gone: gone) else {
        throw IOError(errnoCode: ENOMEM, reason: "bind")
      }
      self.socket = socket
      self.owner = owner
      self.eventLoop = eventLoop
      self.received = received
      czssp_udp_set_buffers(socket.descriptor, Self.bufferSize, 0)
      // The kernel merges datagrams before it steers them, and asks any socket of the port for
      // permission.
      if options.receiveOffload { czssp_udp_enable_receive_offload(socket.descriptor) }
      watch = try eventLoop.watch(socket) { [self] _ in read() }
    }

    /// The socket's counters.
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

    /// Leaves Hellos in the kernel's buffer until `next`.
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

  /// The limit of an event loop's time for Hellos.
  struct HelloShare {
    /// The window in which at most ``share`` is spent on Hellos.
    static let window = Duration.milliseconds(2)
    /// The maximum time per window. The last batch of reads may exceed it.
    static let share = Duration.milliseconds(1)

    private var windowEnd = Instant(nanoseconds: .min)
    private var spent = Duration.zero

    /// Counts time spent on Hellos.
    ///
    /// - Returns: The time of the next read; nil for at once.
    mutating func spend(from start: Instant, to end: Instant) -> Instant? {
      if start >= windowEnd {
        windowEnd = start.advanced(by: Self.window)
        spent = .zero
      }
      spent += start.duration(to: end)
      return spent >= Self.share ? windowEnd : nil
    }
  }
#endif

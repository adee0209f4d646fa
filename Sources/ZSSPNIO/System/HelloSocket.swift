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
    /// The time in which no more than ``share`` is spent on them.
    private static let window = Duration.milliseconds(2)
    private static let share = Duration.milliseconds(1)

    private let socket: SystemSocket
    private let driver: Driver
    private let eventLoop: SystemEventLoop
    private let received: ReceivedPieces
    private var watch: SystemEventLoop.Watch?
    private var windowEnd = Instant(nanoseconds: .min)
    private var spent = Duration.zero
    private var resting: Scheduled<Void>?

    /// Reads from a socket for a driver, on its event loop.
    init(_ socket: SystemSocket, _ driver: Driver, _ eventLoop: SystemEventLoop) throws {
      guard let received = ReceivedPieces(count: Self.atOnce) else {
        throw IOError(errnoCode: ENOMEM, reason: "bind")
      }
      (self.socket, self.driver, self.eventLoop, self.received) = (socket, driver, eventLoop, received)
      czssp_udp_set_buffers(socket.descriptor, Self.bufferSize, 0)
      // The kernel puts datagrams together before it steers them, and asks any socket of the port whether it may.
      if driver.options.receiveOffload { czssp_udp_enable_receive_offload(socket.descriptor) }
      watch = try eventLoop.watch(socket) { [self] _ in read() }
    }

    /// Hellos that the system dropped because they were not read in time.
    var unread: UInt64 { UInt64(czssp_udp_drops(socket.descriptor)) }

    func close() {
      if let watch = watch.take() { eventLoop.end(watch) }
      resting?.cancel()
    }

    private func read() {
      let start = driver.now
      if start >= windowEnd { (windowEnd, spent) = (start.advanced(by: Self.window), .zero) }
      _ = received.read(socket, into: driver, isSteered: false)
      spent += start.duration(to: driver.now)
      if spent >= Self.share { rest() }
    }

    /// Leaves Hellos where they are for the rest of the window.
    private func rest() {
      guard let watch else { return }
      eventLoop.change(watch, reading: false)
      let bound = NIOLoopBound(self, eventLoop: eventLoop)
      resting = eventLoop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(clamping: windowEnd.nanoseconds))) {
        let socket = bound.value
        if let watch = socket.watch { socket.eventLoop.change(watch) }
      }
    }
  }
#endif

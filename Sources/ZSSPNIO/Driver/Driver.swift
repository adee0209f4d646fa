// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import ZSSP

/// Drives the protocol's endpoint on one event loop: datagrams and answers in, datagrams, requests and events out.
///
/// Everything here happens on that event loop, so nothing is locked. Tasks reach it through an ``EndpointHandle``; the
/// socket is a ``DatagramPort``, which may be replaced by another when it fails.
final class Driver {
  let eventLoop: any EventLoop
  /// Which of the endpoint's shards this is, 0… The first if there is one.
  let shard: Int
  let options: UDPOptions
  let store: any RatchetStore
  var endpoint: Endpoint
  var counters = TransportStatistics()

  let sendQueue: SendQueue
  let mailboxes: EndpointMailboxes
  let closedPromise: EventLoopPromise<Void>
  var isClosed = false

  /// The socket, while there is one.
  var port: (any DatagramPort)?
  /// Where the socket is bound, which a replacement must be too.
  var localAddress: SocketAddress?
  var replacements = SocketReplacements()
  /// What could not be segmented, for the next socket.
  var resegmented: [Resegmented] = []
  var isDraining = false

  /// The session whose messages came last in this burst of reads, who handles them, and what waits to be handed over.
  var burst = Burst()

  var inboxes: [SessionID: SessionInbox] = [:]
  var handlers: [SessionID: any MessageHandler] = [:]
  /// The other shards; nil if there are none.
  var siblings: Siblings?
  /// The peers of sessions that the other shards know of.
  var peers: [SessionID: PublicKey] = [:]
  var attempts: [SessionID: ConnectAttempt] = [:]
  var acceptances: [RequestID: Acceptance] = [:]
  /// Attempts of other shards that gave way to handshakes of this one.
  var suspended: [RequestID: SuspendedAttempt] = [:]
  var storeQueues: [PublicKey: CircularBuffer<PendingStoreRequest>] = [:]
  var storeRequests = 0
  var publicKeyPool: NIOThreadPool?
  var publicKeyWork = 0

  var timer: Scheduled<Void>?
  var timerDeadline = Instant.distantFuture

  /// To be made on `eventLoop`.
  init(
    _ configuration: EndpointConfiguration, store: any RatchetStore, options: UDPOptions,
    mailboxes: EndpointMailboxes, shard: Int = 0, eventLoop: any EventLoop
  ) throws(ConfigurationError) {
    self.eventLoop = eventLoop
    self.shard = shard
    self.options = options
    self.store = store
    endpoint = try Endpoint(configuration)
    self.mailboxes = mailboxes
    closedPromise = eventLoop.makePromise()
    // The queue wakes the driver that owns it, once there is one.
    let wake = NIOLoopBoundBox<Driver?>(nil, eventLoop: eventLoop)
    sendQueue = SendQueue(limit: options.sendBuffer) { [eventLoop] in
      eventLoop.execute { wake.value?.drainSends() }
    }
    wakeBox = wake
    wake.value = self
  }

  /// Refers to this driver until it is closed.
  private let wakeBox: NIOLoopBoundBox<Driver?>

  /// This driver, for closures that come back to the event loop.
  var bound: NIOLoopBound<Driver> { NIOLoopBound(self, eventLoop: eventLoop) }

  /// The time on NIO's clock, which timers use too.
  var now: Instant { Instant(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds)) }

  /// What everyone can know of the endpoint.
  var statistics: EndpointStatistics {
    var statistics = EndpointStatistics(endpoint: endpoint.statistics)
    statistics.transport = counters
    if let port { (statistics.transport.unreadDatagrams, statistics.transport.unreadHellos) = port.unread }
    statistics.sessions = endpoint.sessionCount
    statistics.halfOpenHandshakes = endpoint.halfOpenCount
    return statistics
  }

  /// Empties the endpoint's queues. Every input ends with this.
  func pump() {
    while true {
      if let request = endpoint.nextRequest() {
        handle(request)
      } else if let event = endpoint.nextEvent() {
        handle(event)
      } else {
        break
      }
    }
    writeOutbox()
    scheduleTimer()
  }

  /// Sets the timer for the endpoint's next deadline. A timer that is too early stays: it finds nothing to do and sets
  /// itself again, which is cheaper than to move it with every packet.
  private func scheduleTimer() {
    guard !isClosed, let deadline = endpoint.nextDeadline, deadline < timerDeadline else { return }
    timer?.cancel()
    timerDeadline = deadline
    let bound = bound
    timer = eventLoop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(clamping: deadline.nanoseconds))) {
      bound.value.timerFired()
    }
  }

  private func timerFired() {
    timerDeadline = .distantFuture
    timer = nil
    guard !isClosed else { return }
    endpoint.advance(to: now)
    pump()
  }

  /// Ends everything at once: sessions, attempts, sequences, the socket. Late answers find nothing.
  func close(_ error: UDPError? = nil) {
    guard !isClosed else { return }
    drainSends()
    isClosed = true
    for attempt in attempts.values {
      attempt.timer?.cancel()
      attempt.outcome.resolve(.failure(error ?? .closed))
    }
    attempts = [:]
    for case .accepted(let outcome) in acceptances.values { outcome.resolve(.failure(error ?? .closed)) }
    acceptances = [:]
    for attempt in suspended.values { attempt.outcome.resolve(.failure(error ?? .closed)) }
    suspended = [:]
    for id in inboxes.keys { endpoint.close(id) }
    deliverBurst()
    pump()
    timer?.cancel()
    sendQueue.finish()
    mailboxes.finish()
    publicKeyPool?.shutdownGracefully { _ in }
    wakeBox.value = nil
    siblings = nil
    finishClosing(error)
  }

  private func finishClosing(_ error: UDPError?) {
    let closedPromise = closedPromise
    @Sendable func finish() { if let error { closedPromise.fail(error) } else { closedPromise.succeed() } }
    guard let port else { return finish() }
    self.port = nil
    port.close(finish)
  }
}

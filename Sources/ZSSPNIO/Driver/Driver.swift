// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Drives the protocol's endpoint on one event loop: puts datagrams and answers in, and takes
/// datagrams, requests and events out.
///
/// Everything here happens on that event loop, so nothing is locked. Tasks reach it through an
/// ``EndpointHandle``. Each part owns its state:
///
/// | part | task |
/// |---|---|
/// | ``SocketLife`` | the sockets, one after another |
/// | ``RoomWaiters`` | callers that wait until the socket takes more |
/// | ``SessionInboxes`` | delivers messages to sessions |
/// | ``ConnectAttempts``, ``Acceptances`` | tasks that wait for a session |
/// | ``StoreExecutor``, ``PublicKeyExecutor`` | requests of the endpoint, off the event loop |
/// | ``CrossShardSessions`` | what other shards must know |
/// | ``DeadlineTimer`` | the endpoint's next deadline |
final class Driver {
  let eventLoop: any EventLoop
  /// The index of this shard, from 0.
  let shard: Int
  let options: UDPOptions
  let sendQueue: SendQueue
  let mailboxes: EndpointMailboxes
  let environment: EndpointEnvironment
  /// True if dropped datagrams are logged.
  private(set) var logsDrops: Bool
  let closedPromise: EventLoopPromise<Void>
  let inboxes: SessionInboxes
  let publicKeyExecutor: PublicKeyExecutor
  let storeExecutor: StoreExecutor
  /// Refers to this driver until it is closed, for closures that may outlive it.
  private let wake: NIOLoopBoundBox<Driver?>
  private let timer: DeadlineTimer
  /// The receiver of the endpoint's records; nil, as usually, if it is not traced.
  private let trace: (any TraceSink)?

  var endpoint: Endpoint
  var socket = SocketLife()
  var roomWaiters = RoomWaiters()
  var attempts = ConnectAttempts()
  var acceptances = Acceptances()
  /// All shards of the endpoint; nil if it has one.
  var siblings: CrossShardSessions?
  /// Counters of the driver itself; see ``counters`` for the sum.
  var counted = TransportStatistics()
  var isDraining = false
  private(set) var isClosed = false

  /// Makes a driver. Must be called on `eventLoop`.
  ///
  /// - Throws: ``ConfigurationError``.
  init(
    _ configuration: EndpointConfiguration, store: any RatchetStore, options: UDPOptions,
    mailboxes: EndpointMailboxes, environment: EndpointEnvironment = EndpointEnvironment(), shard: Int = 0,
    eventLoop: any EventLoop
  ) throws(ConfigurationError) {
    self.eventLoop = eventLoop
    self.shard = shard
    self.options = options
    var configuration = configuration
    // A queued Hello is better than one whose work is refused.
    configuration.settings.helloWorkLimit = min(configuration.settings.helloWorkLimit, max(1, options.publicKeyQueue))
    if configuration.settings.keepAlive == nil, configuration.settings.idleTimeout == nil {
      configuration.settings.keepAlive = options.keepAlive
      configuration.settings.idleTimeout = options.idleTimeout
    }
    trace = configuration.trace
    endpoint = try Endpoint(configuration)
    self.mailboxes = mailboxes
    self.environment = environment
    logsDrops = environment.log?.logsDrops ?? false
    closedPromise = eventLoop.makePromise()
    inboxes = SessionInboxes(options)
    let wake = NIOLoopBoundBox<Driver?>(nil, eventLoop: eventLoop)
    self.wake = wake
    sendQueue = SendQueue(limit: options.sendBuffer) { [eventLoop] in
      eventLoop.execute { wake.value?.drainSends() }
    }
    timer = DeadlineTimer(on: eventLoop) { wake.value?.timerFired() }
    publicKeyExecutor = PublicKeyExecutor(options, provider: configuration.provider, on: eventLoop) { completed in
      wake.value?.workDone(completed)
    }
    storeExecutor = StoreExecutor(store, options: options, on: eventLoop) { answers in
      wake.value?.storeAnswered(answers)
    }
    wake.value = self
  }

  /// Makes this driver one of several shards, which share a directory.
  func join(_ shards: [ShardHandle], sharing directory: PeerDirectory) {
    siblings = CrossShardSessions(shards, directory: directory, of: shard)
  }

  /// This driver, for closures that return to the event loop.
  var bound: NIOLoopBound<Driver> { NIOLoopBound(self, eventLoop: eventLoop) }

  /// The error of calls that come too late.
  var closingError: UDPError { environment.closing.error ?? .closed }

  /// The time on the event loop's clock, which timers use too.
  var now: Instant { eventLoop.instant }

  /// The counters of the transport, here and in its parts.
  var counters: TransportStatistics {
    var counters = counted
    counters.setCounts(of: socket.counters)
    counters.socketsReplaced = socket.replaced
    counters.messagesDropped = inboxes.dropped
    counters.publicKeyWorkRefused = publicKeyExecutor.refused
    counters.timeOnHellos = publicKeyExecutor.timeOnHellos
    counters.storeRequestsRefused = storeExecutor.refused
    counters.storeRequestsTimedOut = storeExecutor.timedOut
    counters.store = storeExecutor.statistics
    return counters
  }

  /// The public counters of this shard.
  var statistics: EndpointStatistics {
    var statistics = EndpointStatistics(endpoint: endpoint.statistics)
    statistics.transport = counters
    statistics.sessions = endpoint.sessionCount
    statistics.halfOpenHandshakes = endpoint.halfOpenCount
    statistics.queues.hellos = endpoint.waitingHelloCount
    statistics.queues.publicKeyWork = publicKeyExecutor.inFlight
    statistics.queues.storeRequests = storeExecutor.inFlight
    statistics.queues.sendBytes = sendQueue.byteCount
    return statistics
  }

  /// Reads the level of the logger again.
  func logLevelChanged() { logsDrops = environment.log?.logsDrops ?? false }

  /// Descriptions of the sessions of this shard, and the present time.
  var sessionDescriptions: [(session: SessionDescription, now: Instant)] {
    let now = now
    return inboxes.sessions.compactMap { id in endpoint.session(id).map { (session: $0, now: now) } }
  }

  /// Empties the endpoint's queues. Every input ends with this.
  func pump() {
    while true {
      if let request = takeRequest() {
        handle(request)
      } else if let event = takeEvent() {
        handle(event)
      } else {
        break
      }
    }
    if let trace { trace.write(takeTrace(), of: shard) }
    writeOutbox()
    if !isClosed { timer.set(to: endpoint.nextDeadline) }
  }

  // Functions of their own. Swift 6.3 with optimisation inlines them into the loop otherwise, and
  // then the exclusive access to the endpoint does not end before the next turn, which traps.
  @inline(never) private func takeRequest() -> Request? { endpoint.nextRequest() }
  @inline(never) private func takeEvent() -> Event? { endpoint.nextEvent() }
  @inline(never) private func takeTrace() -> [TraceRecord] { endpoint.takeTrace() }

  private func timerFired() {
    guard !isClosed else { return }
    endpoint.advance(to: now)
    pump()
  }

  /// Ends everything at once: sessions, attempts, sequences, the socket. Late answers are ignored.
  func close(_ error: UDPError? = nil) {
    guard !isClosed else { return }
    drainSends()
    isClosed = true
    if let error { environment.closing.fail(error) }
    // Waiting senders learn first that the endpoint is closed, then that their sessions ended.
    counted.messagesUnsent += UInt64(sendQueue.finish(closingError))
    attempts.failAll(closingError)
    acceptances.failAll(closingError)
    for id in inboxes.sessions { endpoint.close(id) }
    inboxes.endBurst()
    pump()
    timer.cancel()
    storeExecutor.shutDown()
    publicKeyExecutor.shutDown()
    mailboxes.finish()
    environment.log?.closed(error)
    wake.value = nil
    siblings = nil
    if !roomWaiters.isEmpty { resumeRoomWaitersLater() }
    closeSocket(error)
  }

  /// Closes the socket after the goodbyes to the peers have gone out.
  private func closeSocket(_ error: UDPError?) {
    let closedPromise = closedPromise
    @Sendable func finish() { if let error { closedPromise.fail(error) } else { closedPromise.succeed() } }
    guard socket.port != nil else { return finish() }
    whenSent { driver in
      guard let port = driver.socket.end() else { return finish() }
      port.close(finish)
      // The port's counters include what it could not send only now.
      driver.socket.addCounts(of: port)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
public import Logging
public import NIOCore
import NIOPosix
import NIOConcurrencyHelpers
public import ZSSP

#if ServiceLifecycle
  public import ServiceLifecycle
#endif

/// An endpoint of the Secure Session Protocol on a UDP socket. It opens sessions and accepts those
/// of peers.
///
/// Each session has its own task, so that none waits for another and none ends another:
///
/// ```swift
/// func serve(_ friends: Set<PublicKey>, at endpoint: UDPEndpoint) async {
///   await withDiscardingTaskGroup { group in
///     for await handshake in endpoint.incoming {
///       guard friends.contains(handshake.peer) else {
///         handshake.reject()
///         continue
///       }
///       group.addTask {
///         do {
///           let session = try await handshake.accept()
///           for await message in session.messages { try await session.send(message) }
///         } catch {
///           print("no session with \(handshake.peer): \(error)")
///         }
///       }
///     }
///     group.cancelAll()
///   }
/// }
/// ```
///
/// The protocol runs on one event loop, or on several (``UDPOptions/shards``). Public-key work and
/// the store, which are slower than a packet, run elsewhere. The endpoint closes with ``close()``,
/// or when the last reference to it and its sessions is released.
///
/// ## Handshakes per second
///
/// With the default ``/ZSSP/HelloPolicy`` an endpoint reads 25 Hellos per second from one host
/// without a challenge (``/ZSSP/HelloBudget/perSource``). In total it reads as many as take 100 ms
/// of processor time: 50 at the assumed 2 ms each. A host is an IPv4 address, or a /64 of IPv6. A
/// Hello beyond that is challenged: its sender solves a proof of work of about 8,000 hashes, and
/// includes it in its next repetition, after ``/ZSSP/Settings/resendInterval``. Challenged Hellos
/// are read for 200 ms of processor time per second, networks in turn, and hosts in turn within
/// each network.
///
/// A thousand clients behind one NAT are one host. When all connect at once, as after a restart of
/// the server, 25 are read in the first second. The others are challenged. While no other network
/// competes, about 100 of them are read in each further second, so that the last is connected after
/// about 10 seconds. While other networks compete, the NAT gets one turn in each round, like each
/// of them, and eight of its Hellos can wait at a time; one malicious client behind the NAT can
/// then keep the others out. In persistent mode no Hello is challenged, and Hellos wait for
/// the same turns. For such sites raise the budget, and connect with ``ReconnectingSession``, whose
/// jitter spreads the attempts:
///
/// ```swift
/// func configuration(_ key: StaticKey) -> EndpointConfiguration {
///   var budget = HelloBudget()
///   budget.perSource = 1000
///   budget.unchallenged = .milliseconds(500)
///   return EndpointConfiguration(
///     staticKey: key.agreementKey, provider: .swiftCrypto, helloPolicy: .automatic(budget))
/// }
/// ```
public final class UDPEndpoint: Sendable {
  let handle: EndpointHandle
  private let lastStatistics: NIOLockedValueBox<EndpointStatistics>

  private init(_ handle: EndpointHandle, statistics: EndpointStatistics) {
    self.handle = handle
    lastStatistics = NIOLockedValueBox(statistics)
  }

  /// The event loop group of endpoints by default: ``EpollEventLoopGroup/singleton`` on Linux,
  /// NIO's on other systems.
  public static var defaultEventLoopGroup: any EventLoopGroup {
    #if os(Linux)
      EpollEventLoopGroup.singleton
    #else
      MultiThreadedEventLoopGroup.singleton
    #endif
  }

  /// Binds a UDP socket, and starts an endpoint on it.
  ///
  /// - Parameters:
  ///   - host: An address of an interface, a name, `0.0.0.0` for all IPv4 addresses, or `::` for
  ///     all addresses. If a name has several addresses, the first that can be bound is used.
  ///   - port: The port, 0…65535. 0 selects a free one; see ``localAddress``.
  ///   - configuration: The static key, the crypto provider, and the protocol's settings.
  ///   - store: The ratchet store. The default keeps ratchet states in memory: they are lost with
  ///     the process, and peers report a downgrade.
  ///   - options: Buffers and limits of the transport.
  ///   - eventLoopGroup: The group whose event loops run the endpoint, one for each shard. It must
  ///     outlive the endpoint. On Linux a ``EpollEventLoopGroup`` has the fastest sockets; any
  ///     group of NIOPosix works, too.
  ///   - logger: The logger; nil for none. Sessions are logged at info, downgrades at warning, and
  ///     dropped datagrams at debug, with reason and source, at most ten per second. Its level is
  ///     read once, now.
  /// - Throws: ``UDPError/bindFailed(host:port:reason:)``, ``UDPError/invalidAddress(_:reason:)``
  ///   or ``UDPError/configuration(_:)``.
  public static func bind(
    host: String, port: Int, configuration: EndpointConfiguration,
    store: any RatchetStore = VolatileRatchetStore(), options: UDPOptions = UDPOptions(),
    eventLoopGroup: any EventLoopGroup = UDPEndpoint.defaultEventLoopGroup, logger: Logger? = nil
  ) async throws(UDPError) -> UDPEndpoint {
    var environment = EndpointEnvironment()
    environment.log = logger.map { logger in
      EndpointLog(
        logger, logsSessionsAsDetail: options.logsSessionsAsDetail, nameOfPeer: options.nameOfPeer)
    }
    let addresses = try await environment.resolver.addresses(host: host, port: port, "\(host) port \(port)")
    var failure = UDPError.invalidAddress(host, reason: "the name has no address")
    for address in addresses {
      do {
        let handle = try await EndpointHandle.bind(
          to: address, configuration: configuration, store: store, options: options, group: eventLoopGroup,
          environment: environment)
        return try await UDPEndpoint(handle)
      } catch let error as UDPError {
        throw error
      } catch let error as ConfigurationError {
        throw .configuration(error)
      } catch is UnsupportedEventLoop {
        throw .bindFailed(host: host, port: port, reason: .unsupportedEventLoop)
      } catch {
        failure = .bindFailed(host: host, port: port, reason: BindFailure(error))
      }
    }
    throw failure
  }

  /// Makes an endpoint whose sockets are bound.
  ///
  /// - Throws: ``UDPError/closed`` if an event loop has shut down.
  convenience init(_ handle: EndpointHandle) async throws(UDPError) {
    guard let statistics = await handle.statistics() else { throw .closed }
    self.init(handle, statistics: statistics)
  }

  /// The bound address, with the actual port.
  public var localAddress: SocketAddress { handle.localAddress }
  /// The event loops of the shards.
  package var eventLoops: [any EventLoop] { handle.shards.map(\.eventLoop) }
  /// Forwards records of handshakes to one observer.
  package var handshakes: Observer<HandshakeRecord> { handle.environment.handshakes }
  /// Forwards round-trip times of probes to one observer.
  package var roundTrips: Observer<Duration> { handle.environment.roundTrips }
  /// The endpoint's static key, by which peers know it.
  public var publicKey: PublicKey { handle.publicKey }
  /// The maximum size of a message in bytes at the endpoint's MTU.
  public var largestMessage: Int { handle.largestMessage }

  /// The handshakes of peers that wait for a decision.
  ///
  /// For one consumer. At most ``UDPOptions/incomingBuffer`` wait. Those that do not fit, and those
  /// without a decision within ``/ZSSP/Settings/handshakeTimeout``, are refused silently and
  /// counted. An endpoint that only connects need not read it. The sequence ends when the endpoint
  /// closes.
  public var incoming: IncomingSessions { IncomingSessions(handle: handle) }

  /// Handshakes that continued with the empty ratchet although this side held another, whether or
  /// not a session resulted. Report them to an operator: either the peer lost its store, or an
  /// attacker holds the peer's key.
  ///
  /// For one consumer. The newest ``UDPOptions/downgradeBuffer`` are kept while it does not read;
  /// ``TransportStatistics/downgrades`` counts them all. The sequence ends when the endpoint
  /// closes.
  public var downgrades: Downgrades { Downgrades(mailbox: handle.mailboxes.downgrades, handle: handle) }

  /// Returns the counters of the protocol and the transport; the last known ones after the endpoint
  /// has closed.
  public func statistics() async -> EndpointStatistics {
    let current = await handle.statistics()
    return lastStatistics.withLockedValue { last in
      if let current { last = current }
      return last
    }
  }

  /// Uses the current level of the logger for lines about dropped datagrams, too.
  package func logLevelChanged() {
    for shard in handle.shards { shard.tell { driver in driver.logLevelChanged() } }
  }

  /// Returns descriptions of the sessions, without an order, and the time of each on its event
  /// loop.
  package func sessionDescriptions() async -> [(session: SessionDescription, now: Instant)] {
    var all: [(session: SessionDescription, now: Instant)] = []
    for shard in handle.shards {
      all += await shard.ask { driver in driver.sessionDescriptions } ?? []
    }
    return all
  }

  /// Closes the endpoint. It waits at most two seconds for queued messages, and tells each peer
  /// once: its session ends with `EndReason.closedByPeer` if the datagram arrives. Then it closes
  /// the socket and finishes all sequences. ``incoming`` ends at once. Closing twice does no harm.
  public func close() async {
    handle.close()
    try? await handle.closed.get()
  }

  /// Runs until the task is cancelled or the endpoint is closed, and closes the endpoint. With the
  /// package trait `ServiceLifecycle` an endpoint is a `Service`, and a graceful shutdown closes
  /// it, too.
  ///
  /// Run it inside the service that uses the endpoint, and not beside that: a service group shuts
  /// its services down one after another, and ``incoming`` ends with the endpoint only.
  ///
  /// ```swift
  /// func run(_ endpoint: UDPEndpoint, serve: @escaping @Sendable (IncomingSession) async -> Void) async throws {
  ///   try await withThrowingDiscardingTaskGroup { group in
  ///     group.addTask { try await endpoint.run() }
  ///     for await handshake in endpoint.incoming {
  ///       group.addTask { await serve(handshake) }
  ///     }
  ///   }
  /// }
  /// ```
  ///
  /// - Throws: ``UDPError/transport(_:)`` if the socket failed and could not be replaced.
  public func run() async throws {
    let handle = handle
    #if ServiceLifecycle
      try await withTaskCancellationOrGracefulShutdownHandler {
        try await handle.closed.get()
      } onCancelOrGracefulShutdown: {
        handle.close()
      }
    #else
      try await withTaskCancellationHandler {
        try await handle.closed.get()
      } onCancel: {
        handle.close()
      }
    #endif
  }
}

#if ServiceLifecycle
  /// A service that ends when the service group shuts down. Then ``incoming`` ends, queued messages
  /// are sent for at most two seconds, all sessions end, and the socket is closed.
  extension UDPEndpoint: Service {}
#endif

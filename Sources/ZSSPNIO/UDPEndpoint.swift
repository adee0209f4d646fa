// SPDX-License-Identifier: Apache-2.0
public import Logging
public import NIOCore
import NIOPosix
import NIOConcurrencyHelpers
public import ZSSP

#if ServiceLifecycle
  public import ServiceLifecycle
#endif

/// A peer of the Secure Session Protocol on a UDP socket. It opens sessions and takes those of others.
///
/// Each session has a task of its own, so that none waits for another and none ends another:
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
/// The protocol runs on one event loop, or on several (``UDPOptions/shards``); public-key work and the store, which take
/// longer than a packet, have threads of their own. The endpoint closes with ``close()``, or when neither it nor a
/// session of it is referred to any more.
///
/// # How many handshakes a second
///
/// With the default ``HelloPolicy`` an endpoint reads 25 Hellos a second from one host without a challenge
/// (``HelloBudget/perSource``), and in all as many as take 100 ms of processor time, 50 at the assumed 2 ms each. A host is
/// an IPv4 address, or a /64 of IPv6. A Hello beyond that is challenged: its sender solves a proof of work, some 8,000
/// hashes, and sends it again with its next repetition, after ``Settings/resendInterval``. Challenged Hellos are read in
/// turn, for 200 ms of processor time a second: one of each network, and there one of each host.
///
/// A thousand clients behind one NAT are one host. When all come at once, as after a restart of the server, 25 are
/// read in the first second. The others are challenged, and while no other network competes some 100 of them are read in each
/// further second, so that the last is connected after about 10 seconds. Where other networks come at the same time, the
/// NAT gets one turn in each round, as each of them does, and eight of its Hellos wait at a time, so one malicious
/// client behind the NAT can keep the others out during that time. In persistent mode (π1) nobody is challenged, and Hellos
/// wait for the same turns. For such sites raise the budget, and connect with ``ReconnectingSession``, whose jitter
/// spreads the attempts:
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

  private init(_ handle: EndpointHandle, _ statistics: EndpointStatistics) {
    self.handle = handle
    lastStatistics = NIOLockedValueBox(statistics)
  }

  /// Where endpoints run unless they are told otherwise: ``SystemEventLoopGroup/singleton`` on Linux, elsewhere NIO's.
  public static var defaultEventLoopGroup: any EventLoopGroup {
    #if os(Linux)
      SystemEventLoopGroup.singleton
    #else
      MultiThreadedEventLoopGroup.singleton
    #endif
  }

  /// Binds a UDP socket.
  ///
  /// - Parameters:
  ///   - host: the address of one interface or its name, `0.0.0.0` for all of IPv4, or `::` for all of both kinds. Of a
  ///     name that has several addresses the first is bound that can be.
  ///   - port: the port, 0…65535; 0 takes any free one, see ``localAddress``.
  ///   - configuration: the static key, the crypto provider, and the protocol's settings.
  ///   - store: where ratchet states are kept. What is kept in memory only is lost with the process, and peers will
  ///     report a downgrade.
  ///   - options: buffers and limits of the transport.
  ///   - eventLoopGroup: one of its event loops runs the endpoint, or one for each of its shards. It must outlive the
  ///     endpoint. On Linux a ``SystemEventLoopGroup`` has the fastest sockets; any group of NIOPosix will do.
  ///   - logger: where the endpoint logs: sessions at info, downgrades at warning, and at debug every datagram that is
  ///     dropped, with reason and source, up to ten a second. Nowhere if nil. Its level is read now.
  /// - Throws: ``UDPError/bindFailed(host:port:reason:)``, ``UDPError/invalidAddress(_:reason:)`` or
  ///   ``UDPError/configuration(_:)``.
  public static func bind(
    host: String, port: Int, configuration: EndpointConfiguration,
    store: any RatchetStore = VolatileRatchetStore(), options: UDPOptions = UDPOptions(),
    eventLoopGroup: any EventLoopGroup = UDPEndpoint.defaultEventLoopGroup, logger: Logger? = nil
  ) async throws(UDPError) -> UDPEndpoint {
    var environment = EndpointEnvironment()
    environment.log = logger.map { EndpointLog($0) }
    let addresses = try await environment.resolver.addresses(host: host, port: port, "\(host) port \(port)")
    var failure = UDPError.invalidAddress(host, reason: "the name has no address")
    for address in addresses {
      do {
        let handle = try await EndpointHandle.bind(
          to: address, configuration, store, options, eventLoopGroup, environment)
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

  /// An endpoint whose socket is bound.
  convenience init(_ handle: EndpointHandle) async throws(UDPError) {
    guard let statistics = await handle.statistics() else { throw .closed }
    self.init(handle, statistics)
  }

  /// Where the socket is bound, with the port that it has.
  public var localAddress: SocketAddress { handle.localAddress }
  /// The event loops of the shards.
  package var eventLoops: [any EventLoop] { handle.shards.map(\.eventLoop) }
  /// Tells one observer how handshakes went.
  package var handshakes: Observer<HandshakeRecord> { handle.environment.handshakes }
  /// Learns how long probes of peers took to be answered.
  package var roundTrips: Observer<Duration> { handle.environment.roundTrips }
  /// The static key that peers know this endpoint by.
  public var publicKey: PublicKey { handle.publicKey }
  /// The longest message in bytes at the endpoint's MTU.
  public var largestMessage: Int { handle.largestMessage }

  /// The handshakes of others that wait for a decision.
  ///
  /// For one consumer. At most ``UDPOptions/incomingBuffer`` wait; those that do not fit, and those that are not
  /// decided on within ``Settings/handshakeTimeout``, are refused in silence and counted. An endpoint that only
  /// connects need not read it. The sequence ends when the endpoint closes.
  public var incoming: IncomingSessions { IncomingSessions(handle: handle) }

  /// Handshakes that went on with the empty ratchet although this side held another, whether or not a session came of
  /// them. Someone should be shown these: either the peer lost its store, or someone poses as the peer.
  ///
  /// For one consumer. The newest ``UDPOptions/downgradeBuffer`` are kept while nobody reads;
  /// ``TransportStatistics/downgrades`` counts them all. The sequence ends when the endpoint closes.
  public var downgrades: Downgrades { Downgrades(mailbox: handle.mailboxes.downgrades, handle: handle) }

  /// Counters of the protocol and the transport.
  public func statistics() async -> EndpointStatistics {
    let current = await handle.statistics()
    return lastStatistics.withLockedValue { last in
      if let current { last = current }
      return last
    }
  }

  /// Closes the endpoint: waits up to two seconds until what was queued has gone to the system, tells each peer once, whose session
  /// ends with `EndReason.closedByPeer` if the datagram arrives, then closes the socket and finishes all sequences. ``incoming`` ends
  /// at once. Closing twice does no harm.
  public func close() async {
    handle.close()
    try? await handle.closed.get()
  }

  /// Runs until the task is cancelled or the endpoint closed, and then closes it. With the package trait
  /// `ServiceLifecycle` an endpoint is a `Service`, and a graceful shutdown closes it, too.
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
  /// ``run()`` lasts until the service group shuts down. Then ``incoming`` ends, what is queued goes out, for two seconds at
  /// most, all sessions end, and the socket is closed.
  extension UDPEndpoint: Service {}
#endif

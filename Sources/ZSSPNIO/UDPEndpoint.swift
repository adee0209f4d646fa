// SPDX-License-Identifier: Apache-2.0
public import NIOCore
import NIOPosix
import NIOConcurrencyHelpers
public import ZSSP

/// A peer of the Secure Session Protocol on a UDP socket. It opens sessions and takes those of others.
///
/// ```swift
/// let endpoint = try await UDPEndpoint.bind(host: "0.0.0.0", port: 4500, configuration: configuration)
/// for await handshake in endpoint.incoming where friends.contains(handshake.peer) {
///   let session = try await handshake.accept()
///   for await message in session.messages { try await session.send(message) }
/// }
/// ```
///
/// The protocol runs on one event loop, or on several (``UDPOptions/shards``); what takes longer than a packet, public-key work and the store, is done
/// elsewhere. The endpoint closes with ``close()``, or when neither it nor a session of it is referred to any more.
public final class UDPEndpoint: Sendable {
  private let handle: EndpointHandle
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
  ///   - host: the address of one interface, or `0.0.0.0` for all of IPv4, or `::` for all of both kinds.
  ///   - port: the port, 0…65535; 0 takes any free one, see ``localAddress``.
  ///   - configuration: the static key, the crypto provider, and the protocol's settings.
  ///   - store: where ratchet states are kept. What is kept in memory only is lost with the process, and peers will
  ///     report a downgrade.
  ///   - options: buffers and limits of the transport.
  ///   - eventLoopGroup: one of its event loops runs the endpoint, or one for each of its shards. It must outlive the
  ///     endpoint. On Linux a ``SystemEventLoopGroup`` has the fastest sockets; any group of NIOPosix will do.
  /// - Throws: ``UDPError/bindFailed(host:port:reason:)``, ``UDPError/invalidAddress(_:reason:)`` or
  ///   ``UDPError/configuration(_:)``.
  public static func bind(
    host: String, port: Int, configuration: EndpointConfiguration,
    store: any RatchetStore = InMemoryRatchetStore(), options: UDPOptions = UDPOptions(),
    eventLoopGroup: any EventLoopGroup = UDPEndpoint.defaultEventLoopGroup
  ) async throws(UDPError) -> UDPEndpoint {
    let address = try await SocketAddress.resolve(host: host, port: port, "\(host) port \(port)")
    do {
      let handle = try await EndpointHandle.bind(to: address, configuration, store, options, eventLoopGroup)
      guard let statistics = await handle.statistics() else { throw UDPError.closed }
      return UDPEndpoint(handle, statistics)
    } catch let error as UDPError {
      throw error
    } catch let error as ConfigurationError {
      throw .configuration(error)
    } catch is UnsupportedEventLoop {
      throw .bindFailed(host: host, port: port, reason: .unsupportedEventLoop)
    } catch {
      throw .bindFailed(host: host, port: port, reason: BindFailure(error))
    }
  }

  /// Where the socket is bound, with the port that it has.
  public var localAddress: SocketAddress { handle.localAddress }
  /// The event loops of the shards.
  package var eventLoops: [any EventLoop] { handle.shards.map(\.eventLoop) }
  /// The static key that peers know this endpoint by.
  public var publicKey: PublicKey { handle.publicKey }
  /// The longest message in bytes at the endpoint's MTU.
  public var largestMessage: Int { handle.largestMessage }

  /// Opens a session and returns when it is established.
  ///
  /// The handshake is tried again and again, with new keys every ``Settings/handshakeTimeout``, until it succeeds,
  /// the peer refuses, `timeout` is over, or the task is cancelled, which closes the attempt.
  ///
  /// When both sides open at once, one session results. This call and the ``IncomingSession/accept(flags:)`` of the
  /// peer's handshake then return the same session: its ``Session/id`` is the same, and so are its sequences.
  ///
  /// - Parameters:
  ///   - address: where the peer is.
  ///   - key: the static key that the peer must have.
  ///   - identity: what this side says of itself, 0…4096 bytes. Only the holder of `key` can read it.
  ///   - flags: π2 counts; the endpoint's flags if nil.
  ///   - timeout: how long to try; nil for as long as it takes.
  /// - Throws: ``UDPError/open(_:)``, ``UDPError/unreachable(_:from:)``, ``UDPError/rejected``,
  ///   ``UDPError/timeout(_:)``, ``UDPError/sessionEnded(_:)``, ``UDPError/cancelled`` or ``UDPError/closed``.
  public func connect(
    to address: SocketAddress, key: PublicKey, identity: [UInt8] = [], flags: SecurityFlags? = nil,
    timeout: Duration? = nil
  ) async throws(UDPError) -> Session {
    let request = ConnectRequest(
      address: try usable(address), key: key, identity: identity, flags: flags, timeout: timeout)
    let outcome = SessionOutcome()
    return try await handle.session(outcome, on: handle.shard(for: request)) { driver in
      driver.connect(request, outcome)
    }
  }

  /// The address as this socket's family names it.
  private func usable(_ address: SocketAddress) throws(UDPError) -> Address {
    guard let remote = Address(address), remote.port != 0 else {
      throw .invalidAddress("\(address)", reason: "an IP address and a port other than 0 are needed")
    }
    guard let name = localAddress.name(of: remote) else { throw .unreachable(address, from: localAddress) }
    return name
  }

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

  /// Ends all sessions, closes the socket and finishes all sequences, after what was queued before has gone to the system,
  /// for which it waits two seconds at most. Peers are not told. Closing twice does no harm.
  public func close() async {
    handle.close()
    try? await handle.closed.get()
  }

  /// Runs until the task is cancelled or the endpoint closed, and then closes it, so that an endpoint can be a
  /// service of swift-service-lifecycle.
  ///
  /// - Throws: ``UDPError/transport(_:)`` if the socket failed and could not be replaced.
  public func run() async throws {
    let handle = handle
    try await withTaskCancellationHandler {
      try await handle.closed.get()
    } onCancel: {
      handle.close()
    }
  }
}

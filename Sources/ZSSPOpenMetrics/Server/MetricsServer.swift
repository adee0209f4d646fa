// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix

/// Serves metrics over HTTP: GET and HEAD of `/metrics` and `/healthz`, nothing else.
///
/// ```swift
/// func serve(_ endpoint: UDPEndpoint) async throws -> MetricsServer {
///   try await MetricsServer.start(on: MetricsAddress("127.0.0.1:9600")) {
///     EndpointFamilies.make(await endpoint.statistics())
///   }
/// }
/// ```
///
/// All servers of a process share a thread, which does nothing else. A connection is for one
/// request, whose size and time are limited. When all places are taken, a new connection replaces
/// the oldest one whose request is not complete. One task at a time gathers the metrics, for all
/// requests that wait.
public final class MetricsServer: Sendable {
  /// Returns the metrics; nil if there are none now, which is answered with the status 503.
  public typealias Content = @Sendable () async -> [MetricFamily]?

  /// Limits on what clients can cause.
  public struct Limits: Sendable {
    /// The maximum number of connections, 32 by default.
    public var connections = 32
    /// The maximum size of a request with its header in bytes, 8 KiB by default.
    public var requestBytes = 8 << 10
    /// The maximum time for a request to arrive, and then for its response; 10 s each by default.
    public var patience = Duration.seconds(10)

    /// Makes the default limits.
    public init() {}
  }

  /// The address, with the actual port.
  public let address: MetricsAddress
  private let channel: any Channel
  private let connections: NIOLoopBound<ConnectionTable>
  private let listener: UnixListener?
  private let isStopped = NIOLockedValueBox(false)

  /// The event loop. It is never shut down, because `content` may return metrics after its server was
  /// stopped.
  private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

  private init(
    address: MetricsAddress, channel: any Channel, connections: NIOLoopBound<ConnectionTable>, listener: UnixListener?
  ) {
    self.address = address
    self.channel = channel
    self.connections = connections
    self.listener = listener
  }

  /// Listens, and serves until ``stop()``.
  ///
  /// A Unix socket can be used by its owner and its group (0660). A file of a socket that nothing
  /// listens on is replaced.
  ///
  /// - Parameters:
  ///   - address: The address.
  ///   - socketGroup: The id of the group of a Unix socket; nil for that of the process.
  ///   - limits: Limits on what clients can cause.
  ///   - content: Returns the metrics. Called on any thread.
  /// - Throws: ``MetricsServerError``.
  public static func start(
    on address: MetricsAddress, socketGroup: UInt32? = nil, limits: Limits = Limits(), content: @escaping Content
  ) async throws(MetricsServerError) -> MetricsServer {
    do {
      return try await start(on: address, socketGroup: socketGroup, limits: limits, content: SharedContent(content))
    } catch {
      throw error as? MetricsServerError ?? MetricsServerError("\(address)", reason: "\(error)")
    }
  }

  private static func start(
    on address: MetricsAddress, socketGroup: UInt32?, limits: Limits, content: SharedContent
  ) async throws -> MetricsServer {
    let eventLoop = group.next()
    let connections = try await eventLoop.submit {
      NIOLoopBound(ConnectionTable(limit: limits.connections), eventLoop: eventLoop)
    }.get()
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 64)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.maxMessagesPerRead, value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try MetricsConnection.configure(channel, limits: limits, connections: connections.value, content: content)
        }
      }
    switch address {
    case .tcp(let wanted):
      let channel: any Channel
      do {
        channel = try await bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1).bind(to: wanted).get()
      } catch let error as IOError {
        throw MetricsServerError("\(address)", error: error.errnoCode)
      }
      return MetricsServer(
        address: .tcp(channel.localAddress ?? wanted), channel: channel, connections: connections, listener: nil)
    case .unix(let path):
      let listener = try UnixListener(path: path, group: socketGroup)
      do {
        // The channel owns the descriptor from here on.
        let channel = try await bootstrap.withBoundSocket(listener.descriptor).get()
        return MetricsServer(
          address: address, channel: channel, connections: connections, listener: listener)
      } catch {
        listener.unlinkFile()
        throw error
      }
    }
  }

  /// Returns the number of connections for which metrics are gathered.
  func answeringCount() async throws -> Int {
    let connections = connections
    return try await channel.eventLoop.submit { connections.value.answeringCount }.get()
  }

  /// Closes the socket and all connections. Stopping twice does no harm.
  public func stop() async {
    let isFirst = isStopped.withLockedValue { isStopped in
      defer { isStopped = true }
      return !isStopped
    }
    guard isFirst else { return }
    listener?.unlinkFile()
    // The channel may have failed already.
    try? await channel.close().get()
    let connections = connections
    // The event loop runs as long as the process.
    try? await channel.eventLoop.submit { connections.value.closeAll() }.get()
  }
}

/// The error of a server that cannot listen.
public struct MetricsServerError: Error, Equatable, CustomStringConvertible {
  /// The failure, and what to do.
  public let description: String

  init(_ address: String, reason: String) { description = "cannot serve metrics on \(address): \(reason)" }

  init(_ address: String, error: CInt) {
    let reason =
      switch error {
      case EADDRINUSE: "the port is in use; end the other program, or choose another port"
      case EADDRNOTAVAIL: "no interface of this machine has this address"
      case EACCES: "permission denied; ports below 1024 need root, and a socket a folder that may be written to"
      default: String(cString: strerror(error))
      }
    self.init(address, reason: reason)
  }
}

/// Gathers the metrics, once for all requests that wait.
final class SharedContent: Sendable {
  private let content: MetricsServer.Content
  private let running = NIOLockedValueBox<Task<[MetricFamily]?, Never>?>(nil)

  init(_ content: @escaping MetricsServer.Content) { self.content = content }

  /// Returns the metrics of a gathering that is under way, or of a new one.
  func families() async -> [MetricFamily]? {
    let task = running.withLockedValue { task in
      if let task { return task }
      let next = Task { [self] in
        let families = await content()
        running.withLockedValue { $0 = nil }
        return families
      }
      task = next
      return next
    }
    return await task.value
  }
}

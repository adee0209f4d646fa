// SPDX-License-Identifier: Apache-2.0
public import NIOCore
import ZSSPNIO

/// The place where metrics are served.
public enum MetricsAddress: Sendable, Hashable, CustomStringConvertible {
  /// A TCP address.
  case tcp(SocketAddress)
  /// The path of a Unix socket.
  case unix(path: String)

  /// The maximum size of the path of a Unix socket in bytes.
  private static let pathLimit = 103

  /// Parses `127.0.0.1:9600`, `[::1]:9600`, or the absolute path of a Unix socket. With port 0 the
  /// system chooses one.
  ///
  /// - Throws: ``MetricsAddressError``.
  public init(_ text: String) throws(MetricsAddressError) {
    if text.hasPrefix("/") {
      guard text.utf8.count <= Self.pathLimit, !text.hasSuffix("/"), !text.utf8.contains(0) else {
        throw MetricsAddressError(
          text, reason: "the path of a socket has at most \(Self.pathLimit) bytes, without / at the end")
      }
      self = .unix(path: text)
      return
    }
    let example = "write 127.0.0.1:9600, [::1]:9600 or the absolute path of a socket, /run/zssp/metrics.sock"
    guard !text.hasPrefix(":") else {
      throw MetricsAddressError(
        text, reason: "the address is missing; 127.0.0.1\(text) is for this host only, 0.0.0.0\(text) for all")
    }
    do { self = .tcp(try SocketAddress(hostAndPort: text)) } catch {
      throw MetricsAddressError(text, reason: "is no address with a port; \(example)")
    }
  }

  /// True if only this host can connect.
  public var isLocal: Bool {
    switch self {
    case .unix: true
    case .tcp(let address): address.ipAddress.map(Self.isLoopback) ?? false
    }
  }

  /// A warning about an address that other hosts can connect to; nil if only this host can.
  public var warning: String? {
    guard !isLocal else { return nil }
    return "\(self) serves metrics to other hosts, without encryption and to everyone who can connect: they show "
      + "the peers and their traffic; 127.0.0.1 or a socket is for this host only"
  }

  /// Returns true for a numeric address of the loopback network.
  static func isLoopback(_ host: String) -> Bool {
    var host = host.lowercased()
    if host.hasPrefix("::ffff:") { host.removeFirst("::ffff:".count) }
    // The system has parsed the address, so nothing but an IPv4 address begins like this.
    return host == "::1" || host.hasPrefix("127.")
  }

  /// The address in the notation of configuration files.
  public var description: String {
    switch self {
    case .tcp(let address): address.text
    case .unix(let path): path
    }
  }
}

/// The error for a text that is no address for metrics.
public struct MetricsAddressError: Error, Equatable, CustomStringConvertible {
  /// The mistake and its correction.
  public let description: String

  init(_ text: String, reason: String) { description = "\"\(text)\": \(reason)" }
}

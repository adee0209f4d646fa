// SPDX-License-Identifier: Apache-2.0
public import NIOCore
import ZSSPNIO

/// The address or name where a peer listens, and its port.
public struct PeerEndpoint: Sendable, Hashable, CustomStringConvertible {
  /// The part before the port.
  public enum Host: Sendable, Hashable {
    /// A numeric address, with the port.
    case address(SocketAddress)
    /// A name, which is resolved at each attempt to open a session.
    case name(String)
  }

  /// The part before the port.
  public let host: Host
  /// The port, 1…65535.
  public let port: Int

  /// Parses `vpn.example.org:20763`, `192.0.2.1:20763` or `[2001:db8::1]:20763`.
  ///
  /// - Throws: ``EndpointTextError``.
  public init(_ text: String) throws(EndpointTextError) {
    let (host, port) = try HostAndPort.split(text)
    guard let host, port != 0 else {
      throw EndpointTextError(
        text, reason: host == nil ? "the host is missing" : "the port must be 1 to 65535")
    }
    self.port = port
    if let address = HostAndPort.address(host, port: port) {
      try HostAndPort.checkHost(host, in: text)
      self.host = .address(address)
    } else {
      try HostAndPort.checkScope(host, in: text)
      try HostAndPort.checkName(host, in: text)
      self.host = .name(host)
    }
  }

  /// The address, if it is numeric.
  public var address: SocketAddress? {
    if case .address(let address) = host { address } else { nil }
  }

  /// The endpoint in the notation of the configuration file.
  public var description: String {
    switch host {
    case .address(let address): address.text
    case .name(let name): "\(name):\(port)"
    }
  }
}

/// The address where a tunnel listens.
public enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
  /// All addresses of this machine, of both families; of IPv4 only where the system has no IPv6.
  case any(port: Int)
  /// One address and a port. `::` listens on both families.
  case address(SocketAddress)

  /// Parses `:20763`, which listens on both families, `192.0.2.1:20763` or `[::]:20763`. With port
  /// 0 the system chooses one.
  ///
  /// - Throws: ``EndpointTextError``.
  public init(_ text: String) throws(EndpointTextError) {
    let (host, port) = try HostAndPort.split(text)
    guard let host else {
      self = .any(port: port)
      return
    }
    guard let address = HostAndPort.address(host, port: port) else {
      try HostAndPort.checkScope(host, in: text)
      throw EndpointTextError(text, reason: "\"\(host)\" is neither an IPv4 nor an IPv6 address of this machine")
    }
    self = .address(address)
  }

  /// The port; 0 if the system chooses it.
  public var port: Int {
    switch self {
    case .any(let port): port
    case .address(let address): address.port ?? 0
    }
  }

  /// The addresses to bind. The first that the system supports is used.
  var candidates: [SocketAddress] {
    switch self {
    case .any(let port): ["::", "0.0.0.0"].compactMap { HostAndPort.address($0, port: port) }
    case .address(let address): [address]
    }
  }

  /// Returns true if a socket that is bound here can send to `remote`.
  func reaches(_ remote: SocketAddress) -> Bool { candidates.contains { $0.reaches(remote) } }

  /// The address in the notation of the configuration file.
  public var description: String {
    switch self {
    case .any(let port): ":\(port)"
    case .address(let address): address.text
    }
  }
}

/// The error for a text that is no valid endpoint or listen address.
public struct EndpointTextError: Error, Equatable, CustomStringConvertible {
  /// The mistake and its correction.
  public let description: String
  /// True if the text is valid, and names something that the system does not have now.
  public let isOfSystem: Bool

  init(_ text: String, reason: String, isOfSystem: Bool = false) {
    description = "\"\(text)\": \(reason)"
    self.isOfSystem = isOfSystem
  }
}

/// Parses the two parts of an endpoint's text.
enum HostAndPort {
  private static let example = "write vpn.example.org:20763, 192.0.2.1:20763 or [2001:db8::1]:20763"

  /// Returns the parts. The host is nil if it is missing.
  ///
  /// - Throws: ``EndpointTextError``.
  static func split(_ text: String) throws(EndpointTextError) -> (host: String?, port: Int) {
    guard let colon = text.lastIndex(of: ":") else {
      throw EndpointTextError(text, reason: "the port is missing; \(example)")
    }
    let before = text[..<colon]
    let digits = text[text.index(after: colon)...]
    guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits) else {
      throw EndpointTextError(text, reason: "the port must be a number from 0 to 65535; \(example)")
    }
    if before.hasPrefix("["), before.hasSuffix("]") {
      let host = before.dropFirst().dropLast()
      guard host.contains(":") else { throw EndpointTextError(text, reason: "only an IPv6 address goes in brackets") }
      return (String(host), Int(port))
    }
    guard !before.contains(":") else {
      throw EndpointTextError(text, reason: "an IPv6 address goes in brackets, as in [2001:db8::1]:20763")
    }
    return (before.isEmpty ? nil : String(before), Int(port))
  }

  /// Returns a numeric address; nil for anything else.
  static func address(_ host: String, port: Int) -> SocketAddress? {
    // The system may read IPv4 numbers with leading zeros as octal, so they are refused here.
    if host.contains("."), !host.contains(":"), IPAddress(host) == nil { return nil }
    // A text that is no address may be a name.
    return try? SocketAddress(ipAddress: host, port: port)
  }

  /// Refuses an address that is none of a single host: 0.0.0.0, ::, broadcast and multicast.
  ///
  /// - Throws: ``EndpointTextError``.
  static func checkHost(_ host: String, in text: String) throws(EndpointTextError) {
    guard let address = IPAddress(host.prefix { $0 != "%" }), !address.isOfOneHost else { return }
    throw EndpointTextError(text, reason: "\(address) is not the address of one host; give the peer's")
  }

  /// Refuses an IPv6 address in the scope of a network device that does not exist.
  ///
  /// - Throws: ``EndpointTextError``.
  static func checkScope(_ host: String, in text: String) throws(EndpointTextError) {
    let parts = host.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[1].isEmpty, IPAddress(parts[0])?.family == .v6 else { return }
    throw EndpointTextError(
      text, reason: "there is no network device \"\(parts[1])\" now, to which the address belongs", isOfSystem: true)
  }

  /// Returns the labels of a name.
  private static func labels(_ host: String) -> [Substring] {
    (host.hasSuffix(".") ? host.dropLast() : host[...]).split(separator: ".", omittingEmptySubsequences: false)
  }

  /// Returns true if a text is a host name by RFC 1123, which may also contain `_`, because names
  /// in use do.
  static func isName(_ host: String) -> Bool {
    let isMade = labels(host).allSatisfy { label in
      (1...63).contains(label.utf8.count) && !label.hasPrefix("-")
        && label.utf8.allSatisfy { byte in
          (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == 0x2D || byte == 0x5F
        }
    }
    return isMade && host.utf8.count <= 253
  }

  /// Refuses a text that is no host name.
  ///
  /// - Throws: ``EndpointTextError``.
  static func checkName(_ host: String, in text: String) throws(EndpointTextError) {
    guard isName(host), let last = labels(host).last else {
      throw EndpointTextError(text, reason: "\"\(host)\" is neither an address nor a name; \(example)")
    }
    // The system's resolver would parse such a name as an address, with numbers in other bases.
    let isNumber = last.utf8.allSatisfy { (0x30...0x39).contains($0) } || last.lowercased().hasPrefix("0x")
    guard !isNumber else {
      throw EndpointTextError(
        text, reason: "\"\(host)\" is no IPv4 address: that is four numbers from 0 to 255, without zeros in front")
    }
  }
}

extension SocketAddress {
  /// The address in its usual notation: 192.0.2.1:4000 or [2001:db8::1]:4000.
  var text: String {
    guard let host = ipAddress, let port else { return description }
    return `protocol` == .inet6 ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}

// SPDX-License-Identifier: Apache-2.0
public import NIOCore

extension SocketAddress {
  /// Parses `1.2.3.4:5`, `[::1]:5` or `[fe80::1%eth0]:5`. Names are not resolved; see
  /// ``resolve(hostAndPort:)``.
  ///
  /// - Throws: ``UDPError/invalidAddress(_:reason:)``.
  public init(hostAndPort text: String) throws(UDPError) {
    let (host, port) = try Self.split(text)
    self = try Self.numeric(host, port: port, in: text)
  }

  /// Parses what ``init(hostAndPort:)`` parses, or resolves `name:5` with the system's resolver.
  /// Returns the first address, which a socket may not reach; ``resolveAll(hostAndPort:)`` returns
  /// all.
  ///
  /// - Throws: ``UDPError/invalidAddress(_:reason:)``.
  public static func resolve(hostAndPort text: String) async throws(UDPError) -> SocketAddress {
    guard let first = try await resolveAll(hostAndPort: text).first else {
      throw .invalidAddress(text, reason: "the name has no address")
    }
    return first
  }

  /// Parses what ``init(hostAndPort:)`` parses, or resolves `name:5` with the system's resolver.
  /// Returns all addresses in the order in which they are to be tried: first the one that the
  /// system puts first (RFC 6724), then IPv6 and IPv4 alternately (RFC 8305, section 4).
  ///
  /// ``UDPEndpoint/connect(to:key:identity:flags:timeout:)-(String,_,_,_,_)`` does this itself.
  ///
  /// - Throws: ``UDPError/invalidAddress(_:reason:)`` if the text is no address and the name is
  ///   unknown.
  public static func resolveAll(hostAndPort text: String) async throws(UDPError) -> [SocketAddress] {
    try await NameResolver.system.addresses(text)
  }

  /// Splits a text into host and port.
  ///
  /// - Throws: ``UDPError/invalidAddress(_:reason:)``.
  package static func split(_ text: String) throws(UDPError) -> (host: String, port: Int) {
    guard let colon = text.lastIndex(of: ":") else {
      throw .invalidAddress(text, reason: "the port is missing; write 192.0.2.1:4500 or [2001:db8::1]:4500")
    }
    var host = text[..<colon]
    let digits = text[text.index(after: colon)...]
    guard digits.allSatisfy(\.isASCII), let port = UInt16(digits) else {
      throw .invalidAddress(text, reason: "the port must be a number from 0 to 65535")
    }
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
      guard host.contains(":") else { throw .invalidAddress(text, reason: "only an IPv6 address goes in brackets") }
    } else if host.contains(":") {
      throw .invalidAddress(text, reason: "an IPv6 address goes in brackets, as in [2001:db8::1]:4500")
    }
    guard !host.isEmpty else { throw .invalidAddress(text, reason: "the host is missing") }
    // The system's resolver reads only what is before a NUL.
    guard !host.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
      throw .invalidAddress(text, reason: "the host has a space or a control character")
    }
    return (String(host), Int(port))
  }

  /// Parses a numeric address.
  ///
  /// - Throws: ``UDPError/invalidAddress(_:reason:)``.
  static func numeric(_ host: String, port: Int, in text: String) throws(UDPError) -> SocketAddress {
    guard (0...65_535).contains(port) else { throw .invalidAddress(text, reason: "the port must be 0 to 65535") }
    do {
      return try SocketAddress(ipAddress: host, port: port)
    } catch {
      throw .invalidAddress(text, reason: "\"\(host)\" is neither an IPv4 nor an IPv6 address")
    }
  }
}

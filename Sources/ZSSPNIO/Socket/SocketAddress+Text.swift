// SPDX-License-Identifier: Apache-2.0
public import NIOCore

extension SocketAddress {
  /// Reads `1.2.3.4:5`, `[::1]:5` or `[fe80::1%eth0]:5`. Names are not looked up; see ``resolve(hostAndPort:)``.
  public init(hostAndPort text: String) throws(UDPError) {
    let (host, port) = try Self.split(text)
    self = try Self.numeric(host, port, text)
  }

  /// Reads what ``init(hostAndPort:)`` reads, and `name:5`, for which the system's resolver is asked. Returns the first
  /// address; ``resolveAll(hostAndPort:)`` returns all, of which a socket may reach others only.
  ///
  /// - Throws: ``UDPError/invalidAddress(_:reason:)``.
  public static func resolve(hostAndPort text: String) async throws(UDPError) -> SocketAddress {
    guard let first = try await resolveAll(hostAndPort: text).first else {
      throw .invalidAddress(text, reason: "the name has no address")
    }
    return first
  }

  /// Returns every address of what ``init(hostAndPort:)`` reads, or of `name:5`, in the order in which they are to be
  /// tried: the first as the system sorts them (RFC 6724), then IPv6 and IPv4 in turn (RFC 8305, section 4).
  ///
  /// ``UDPEndpoint/connect(to:key:identity:flags:timeout:)-(String,_,_,_,_)`` does so by itself.
  ///
  /// - Throws: ``UDPError/invalidAddress(_:reason:)`` if the text is no address and the name is not known.
  public static func resolveAll(hostAndPort text: String) async throws(UDPError) -> [SocketAddress] {
    try await NameResolver.system.addresses(text)
  }

  /// The two parts of a text.
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
    } else if host.contains(":") {
      throw .invalidAddress(text, reason: "an IPv6 address goes in brackets, as in [2001:db8::1]:4500")
    }
    guard !host.isEmpty else { throw .invalidAddress(text, reason: "the host is missing") }
    return (String(host), Int(port))
  }

  /// An address that is written as numbers.
  static func numeric(_ host: String, _ port: Int, _ text: String) throws(UDPError) -> SocketAddress {
    guard (0...65_535).contains(port) else { throw .invalidAddress(text, reason: "the port must be 0 to 65535") }
    do {
      return try SocketAddress(ipAddress: host, port: port)
    } catch {
      throw .invalidAddress(text, reason: "\"\(host)\" is neither an IPv4 nor an IPv6 address")
    }
  }
}

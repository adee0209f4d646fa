// SPDX-License-Identifier: Apache-2.0
package import NIOCore
import NIOPosix

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Resolves names to addresses.
package struct NameResolver: Sendable {
  /// Returns the addresses of a name, in the order in which the system would use them; none if the
  /// name is unknown.
  private let lookUp: @Sendable (_ host: String, _ port: Int) async throws(UDPError) -> [SocketAddress]

  /// Makes a resolver that calls `lookUp`.
  package init(
    _ lookUp: @escaping @Sendable (_ host: String, _ port: Int) async throws(UDPError) -> [SocketAddress]
  ) {
    self.lookUp = lookUp
  }

  /// The system's resolver. It blocks, so it runs on a thread of NIO's blocking pool.
  package static let system = NameResolver { host, port throws(UDPError) in
    do {
      return try await NIOThreadPool.singleton.runIfActive { systemAddresses(of: host, port: port) }
    } catch {
      throw .invalidAddress("\(host):\(port)", reason: "names cannot be looked up any more: \(error)")
    }
  }

  /// Returns all addresses of a text like `gw.example:4500`, in the order in which they are tried:
  /// first the one that the system puts first (RFC 6724), then IPv6 and IPv4 alternately (RFC 8305,
  /// section 4).
  ///
  /// - Throws: ``UDPError/invalidAddress(_:reason:)``.
  package func addresses(_ text: String) async throws(UDPError) -> [SocketAddress] {
    let (host, port) = try SocketAddress.split(text)
    return try await addresses(host: host, port: port, text)
  }

  func addresses(host: String, port: Int, _ text: String) async throws(UDPError) -> [SocketAddress] {
    // A text that is no address is a name.
    if let address = try? SocketAddress.numeric(host, port: port, in: text) { return [address] }
    guard (0...65_535).contains(port) else { throw .invalidAddress(text, reason: "the port must be 0 to 65535") }
    let known = Self.inTurn(try await lookUp(host, port))
    guard !known.isEmpty else { throw .invalidAddress(text, reason: "the name \"\(host)\" is not known") }
    return known
  }

  /// Alternates the addresses of both families. Each family keeps its order, and the family of the
  /// first address goes first.
  static func inTurn(_ sorted: [SocketAddress]) -> [SocketAddress] {
    var unique: [SocketAddress] = []
    for address in sorted where !unique.contains(address) { unique.append(address) }
    guard let family = unique.first?.protocol else { return [] }
    let first = unique.filter { $0.protocol == family }
    let second = unique.filter { $0.protocol != family }
    return (0..<max(first.count, second.count)).flatMap { index in
      [first, second].compactMap { index < $0.count ? $0[index] : nil }
    }
  }

  /// Returns the system's addresses of a name; none if it is unknown. Blocks.
  package static func systemAddresses(of host: String, port: Int) -> [SocketAddress] {
    var hints = addrinfo()
    // One entry per address, instead of one per kind of socket.
    #if canImport(Glibc)
      hints.ai_socktype = CInt(SOCK_DGRAM.rawValue)
    #else
      hints.ai_socktype = SOCK_DGRAM
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, String(port), &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var known: [SocketAddress] = []
    var next = list
    while let entry = next {
      next = entry.pointee.ai_next
      guard let name = entry.pointee.ai_addr else { continue }
      switch entry.pointee.ai_family {
      case AF_INET:
        name.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
          known.append(SocketAddress($0.pointee, host: host))
        }
      case AF_INET6:
        name.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
          known.append(SocketAddress($0.pointee, host: host))
        }
      default: break
      }
    }
    return known
  }
}

// SPDX-License-Identifier: Apache-2.0
package import NIOCore
import NIOPosix
import ZSSP

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension SocketAddress {
  /// Another address as a socket that is bound to this one names it; nil if that socket cannot send there. One of IPv4 reaches IPv4, one that
  /// is bound to :: reaches both kinds, and one that is bound to another address of IPv6 the kind of that.
  func name(of remote: Address) -> Address? {
    guard let local = Address(self) else { return nil }
    let remote = remote.unmapped
    if local.family == .ipv4 { return remote.family == .ipv4 ? remote : nil }
    let takesBoth = local.high == 0 && local.low == 0
    return takesBoth || local.unmapped.family == remote.family ? remote.mapped : nil
  }

  /// Whether a socket that is bound here can send to an address.
  package func reaches(_ remote: SocketAddress) -> Bool { Address(remote).flatMap(name) != nil }

  /// Reads an address, or looks a name up, and takes what a socket that is bound to `local` can send to.
  package static func resolve(
    hostAndPort text: String, reachableFrom local: SocketAddress
  ) async throws(UDPError) -> SocketAddress {
    let (host, port) = try split(text)
    // What is no address is a name.
    if let address = try? numeric(host, port, text) {
      guard local.reaches(address) else { throw .unreachable(address, from: local) }
      return address
    }
    let known: [SocketAddress]
    do {
      known = try await NIOThreadPool.singleton.runIfActive { addresses(of: host, port) }
    } catch {
      throw .invalidAddress(text, reason: "names cannot be looked up any more: \(error)")
    }
    guard !known.isEmpty else { throw .invalidAddress(text, reason: "the name \"\(host)\" is not known") }
    // The system has them in the order in which they should be tried.
    guard let address = known.first(where: local.reaches) else {
      let kind = Address(local)?.unmapped.family == .ipv4 ? "IPv4" : "IPv6"
      throw .invalidAddress(
        text,
        reason: "the name \"\(host)\" has no \(kind) address, and a socket that is bound to \(local) reaches no other")
    }
    return address
  }

  /// What the system knows of a name; nothing if it does not know it. It blocks.
  private static func addresses(of host: String, _ port: Int) -> [SocketAddress] {
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, String(port), nil, &list) == 0 else { return [] }
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

// SPDX-License-Identifier: Apache-2.0
package import NIOCore
import ZSSP

extension SocketAddress {
  /// Returns another address as a socket that is bound to this one names it; nil if that socket cannot send there.
  ///
  /// An IPv4 socket reaches IPv4 only. One bound to `::` reaches both kinds; one bound to another IPv6 address reaches
  /// the kind of that.
  func name(of remote: Address) -> Address? {
    guard let local = Address(self) else { return nil }
    let remote = remote.unmapped
    if local.family == .ipv4 { return remote.family == .ipv4 ? remote : nil }
    let takesBoth = local.high == 0 && local.low == 0
    return takesBoth || local.unmapped.family == remote.family ? remote.mapped : nil
  }

  /// Whether a socket that is bound here can send to an address.
  package func reaches(_ remote: SocketAddress) -> Bool { Address(remote).flatMap(name) != nil }

  /// Returns those of several addresses that a socket that is bound here can send to.
  ///
  /// - Throws: ``UDPError/unreachable(_:from:)`` if there are none.
  func reachable(_ addresses: [SocketAddress]) throws(UDPError) -> [SocketAddress] {
    let reachable = addresses.filter(reaches)
    if reachable.isEmpty, let first = addresses.first { throw .unreachable(first, from: self) }
    return reachable
  }

  /// Reads an address, or looks a name up, and takes the first that a socket that is bound to `local` can send to.
  package static func resolve(
    hostAndPort text: String, reachableFrom local: SocketAddress
  ) async throws(UDPError) -> SocketAddress {
    let known = try await NameResolver.system.addresses(text)
    guard let address = try local.reachable(known).first else { throw .invalidAddress(text, reason: "no address") }
    return address
  }
}

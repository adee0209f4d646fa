// SPDX-License-Identifier: Apache-2.0
package import NIOCore
import ZSSP

extension SocketAddress {
  /// Returns another address in the form that a socket bound to this one uses; nil if that socket
  /// cannot reach it.
  ///
  /// An IPv4 socket reaches IPv4 only. One bound to `::` reaches both families; one bound to
  /// another IPv6 address reaches that address's family.
  func name(of remote: Address) -> Address? {
    guard let local = Address(self) else { return nil }
    let remote = remote.unmapped
    if local.family == .ipv4 { return remote.family == .ipv4 ? remote : nil }
    let takesBoth = local.high == 0 && local.low == 0
    return takesBoth || local.unmapped.family == remote.family ? remote.mapped : nil
  }

  /// Returns true if a socket that is bound to this address can send to `remote`.
  package func reaches(_ remote: SocketAddress) -> Bool { Address(remote).flatMap(name) != nil }

  /// Returns the addresses that a socket bound to this one can send to, in order.
  ///
  /// - Throws: ``UDPError/unreachable(_:from:)`` if it reaches none of them.
  func reachable(_ addresses: [SocketAddress]) throws(UDPError) -> [SocketAddress] {
    let reachable = addresses.filter(reaches)
    if reachable.isEmpty, let first = addresses.first { throw .unreachable(first, from: self) }
    return reachable
  }

  /// Parses an address or resolves a name, and returns the first address that a socket bound to
  /// `local` can send to.
  ///
  /// - Throws: ``UDPError/invalidAddress(_:reason:)`` or ``UDPError/unreachable(_:from:)``.
  package static func resolve(
    hostAndPort text: String, reachableFrom local: SocketAddress
  ) async throws(UDPError) -> SocketAddress {
    let known = try await NameResolver.system.addresses(text)
    guard let address = try local.reachable(known).first else { throw .invalidAddress(text, reason: "no address") }
    return address
  }
}

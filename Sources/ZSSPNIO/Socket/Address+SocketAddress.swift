// SPDX-License-Identifier: Apache-2.0
public import NIOCore
public import ZSSP

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The prefix ::ffff:0:0/96 of IPv4 addresses on an IPv6 socket (RFC 4291, section 2.5.5.2), in an
/// address's low half.
private let mappedPrefix: UInt64 = 0xFFFF_0000_0000

extension Address {
  /// Converts NIO's form of an address; nil if it is no IP address.
  public init?(_ address: SocketAddress) {
    switch address {
    case .v4(let address):
      let socket = address.address
      self.init(ipv4: UInt32(bigEndian: socket.sin_addr.s_addr), port: UInt16(bigEndian: socket.sin_port))
    case .v6(let address):
      let socket = address.address
      let (high, low) = withUnsafeBytes(of: socket.sin6_addr) { bytes in
        (
          UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
          UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        )
      }
      self.init(ipv6: high, low, port: UInt16(bigEndian: socket.sin6_port), scope: socket.sin6_scope_id)
    case .unixDomainSocket:
      return nil
    }
  }

  /// True if the address is 0.0.0.0 or ::, so that a socket bound to it has all addresses of this
  /// host.
  var isWildcard: Bool { unmapped.high == 0 && unmapped.low == 0 }

  /// The address in the form that an IPv6 socket uses for it.
  var mapped: Address {
    family == .ipv4 ? Address(ipv6: 0, mappedPrefix | low, port: port) : self
  }

  /// The address with an IPv4-mapped IPv6 address turned into IPv4.
  package var unmapped: Address {
    guard family == .ipv6, high == 0, low >> 32 == mappedPrefix >> 32 else { return self }
    return Address(ipv4: UInt32(truncatingIfNeeded: low), port: port)
  }

  /// The address in NIO's form, of the same family.
  var socketAddress: SocketAddress {
    switch family {
    case .ipv4:
      var socket = sockaddr_in()
      socket.sin_family = sa_family_t(AF_INET)
      socket.sin_port = port.bigEndian
      socket.sin_addr.s_addr = UInt32(truncatingIfNeeded: low).bigEndian
      return SocketAddress(socket, host: "")
    case .ipv6:
      var socket = sockaddr_in6()
      socket.sin6_family = sa_family_t(AF_INET6)
      socket.sin6_port = port.bigEndian
      socket.sin6_scope_id = scope
      withUnsafeMutableBytes(of: &socket.sin6_addr) { bytes in
        bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
        bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
      return SocketAddress(socket, host: "")
    }
  }
}

extension SocketAddress {
  /// Converts an endpoint's ``Address`` to NIO's form. An IPv4-mapped IPv6 address becomes IPv4.
  public init(_ address: Address) { self = address.unmapped.socketAddress }
}

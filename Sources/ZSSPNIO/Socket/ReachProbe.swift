// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Finds out what the network reports about an address: its own socket sends an empty datagram
/// there, and keeps the answer of ICMP.
///
/// The endpoint's own socket does not enable such reports: systems deliver them by failing the next
/// call, for any destination, so that strangers could cause the loss of other datagrams. An empty
/// datagram is not of the protocol, and every responder drops it silently. The report is not
/// authentic: it explains a failure, and never causes one.
final class ReachProbe: Sendable {
  private let descriptor: CInt
  /// The error number if the datagram could not be sent; 0 if it was.
  private let sendError: CInt

  private static let doNotWait = CInt(MSG_DONTWAIT)

  /// Sends the datagram; nil if the system has no socket for it.
  ///
  /// - Parameters:
  ///   - remote: The destination.
  ///   - local: The endpoint's bound address. The datagram leaves from the same address and another
  ///     port.
  ///   - configure: Sets the options of the endpoint's own sockets, so that both take the same
  ///     route, and returns an error number; 0 for success.
  init?(to remote: Address, from local: SocketAddress, configure: (CInt) -> CInt = { _ in 0 }) {
    let remote = remote.unmapped
    let family = remote.family == .ipv4 ? AF_INET : AF_INET6
    #if canImport(Glibc)
      descriptor = socket(family, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    #else
      descriptor = socket(family, SOCK_DGRAM, 0)
    #endif
    guard descriptor >= 0 else { return nil }
    // On another route the report would say nothing about the endpoint's datagrams, and the
    // datagram might enter a tunnel.
    guard configure(descriptor) == 0 else {
      close(descriptor)
      return nil
    }
    if let host = Address(local)?.unmapped, host.family == remote.family {
      let source = Address.host(of: host).socketAddress
      // If this fails, the system chooses the source.
      let descriptor = descriptor
      source.withSockAddr { _ = bind(descriptor, $0, socklen_t($1)) }
    }
    sendError = remote.socketAddress.withSockAddr { [descriptor] name, size in
      guard connect(descriptor, name, socklen_t(size)) == 0, send(descriptor, "", 0, Self.doNotWait) >= 0 else {
        return errno
      }
      return 0
    }
  }

  deinit { close(descriptor) }

  /// The network's report so far, in the system's words; nil if none.
  var refusal: String? {
    var error = sendError
    var size = socklen_t(MemoryLayout<CInt>.size)
    if error == 0, getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0 { return nil }
    return error == 0 ? nil : String(cString: strerror(error))
  }
}

extension Address {
  /// Returns the same host with port 0.
  fileprivate static func host(of address: Address) -> Address {
    switch address.family {
    case .ipv4: Address(ipv4: UInt32(truncatingIfNeeded: address.low), port: 0)
    case .ipv6: Address(ipv6: address.high, address.low, port: 0, scope: address.scope)
    }
  }
}

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

/// Finds out what the network says of an address: a socket of its own sends an empty datagram there, and keeps what
/// ICMP answers.
///
/// The endpoint's own socket does not ask for such answers: systems report them by failing the next call, whoever that
/// is for, so that strangers could have datagrams of others dropped. An empty datagram is none of the protocol's, and
/// every responder drops it in silence. What comes back is not authentic: it explains a failure, and causes none.
final class ReachProbe: Sendable {
  private let descriptor: CInt
  /// The error number of a datagram that could not be sent at all; 0 if it was.
  private let sendError: CInt

  private static let doNotWait = CInt(MSG_DONTWAIT)

  /// Sends the datagram; nil if there is no descriptor for it.
  ///
  /// - Parameters:
  ///   - remote: where to.
  ///   - local: where the endpoint is bound; the datagram comes from the same address and another port.
  ///   - configure: sets the options of the endpoint's own sockets, so that both take the same route; returns an error
  ///     number.
  init?(to remote: Address, from local: SocketAddress, configure: (CInt) -> CInt = { _ in 0 }) {
    let remote = remote.unmapped
    let family = remote.family == .ipv4 ? AF_INET : AF_INET6
    #if canImport(Glibc)
      descriptor = socket(family, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    #else
      descriptor = socket(family, SOCK_DGRAM, 0)
    #endif
    guard descriptor >= 0 else { return nil }
    // On another route it would say nothing of the endpoint's datagrams, and might enter a tunnel.
    guard configure(descriptor) == 0 else {
      close(descriptor)
      return nil
    }
    if let host = Address(local)?.unmapped, host.family == remote.family {
      let source = Address.host(of: host).socketAddress
      // If it cannot, the system chooses.
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

  /// What the network has answered by now, in the system's words; nil if nothing.
  var refusal: String? {
    var error = sendError
    var size = socklen_t(MemoryLayout<CInt>.size)
    if error == 0, getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0 { return nil }
    return error == 0 ? nil : String(cString: strerror(error))
  }
}

extension Address {
  /// The same host with port 0.
  fileprivate static func host(of address: Address) -> Address {
    switch address.family {
    case .ipv4: Address(ipv4: UInt32(truncatingIfNeeded: address.low), port: 0)
    case .ipv6: Address(ipv6: address.high, address.low, port: 0, scope: address.scope)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The system's error numbers that mean something to this module.
enum Errno {
  static let addressInUse = EADDRINUSE
  static let addressNotAvailable = EADDRNOTAVAIL
  static let permissionDenied = EACCES
  static let notPermitted = EPERM
  static let addressFamilyNotSupported = EAFNOSUPPORT
  static let messageTooLarge = EMSGSIZE

  /// What a kernel answers that does not take a datagram for now, and may take the same one later:
  /// the socket is full (EAGAIN), or there is no memory. Everything else means this datagram, which
  /// is dropped as the network would: no route (ENETUNREACH, EHOSTUNREACH, ENETDOWN), forbidden by
  /// a firewall (EPERM, EACCES), no such address, too large.
  static let notNow: Set<CInt> = [EAGAIN, ENOBUFS, ENOMEM]

  /// What a kernel may answer when a datagram is to leave from an address that the host does not have, and also for other reasons.
  static let mayMeanNoSource: Set<CInt> = [EINVAL, ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL]

  /// What a kernel answers that will not segment: no checksum offload (EIO), segments longer than the path's MTU
  /// (EINVAL, newer EMSGSIZE), no such feature.
  static let segmentationRefused: Set<CInt> = [EIO, EINVAL, EMSGSIZE, EOPNOTSUPP, ENOPROTOOPT]
  /// Those of them that mean this destination, to which the path is too narrow, and none that anyone else is sent to.
  static let segmentationRefusedForOne: Set<CInt> = [EINVAL, EMSGSIZE]
}

extension NIOBSDSocket.Option {
  /// SO_REUSEPORT, which NIO does not name.
  static let reusePort = NIOBSDSocket.Option(rawValue: SO_REUSEPORT)
}

// SPDX-License-Identifier: Apache-2.0
import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The system's error numbers that this module reacts to.
enum Errno {
  static let addressInUse = EADDRINUSE
  static let addressNotAvailable = EADDRNOTAVAIL
  static let permissionDenied = EACCES
  static let notPermitted = EPERM
  static let addressFamilyNotSupported = EAFNOSUPPORT
  static let messageTooLarge = EMSGSIZE

  /// Errors for a datagram that the kernel does not take now, and may take later: the socket is
  /// full (EAGAIN), or memory is short. All other errors concern this datagram, which is dropped as
  /// the network would: no route (ENETUNREACH, EHOSTUNREACH, ENETDOWN), forbidden by a firewall
  /// (EPERM, EACCES), an invalid address, too large.
  static let notNow: Set<CInt> = [EAGAIN, ENOBUFS, ENOMEM]

  /// Possible errors when a datagram's source address does not exist on the host. They have other
  /// causes, too.
  static let mayMeanNoSource: Set<CInt> = [EINVAL, ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL]

  /// Errors of a kernel that does not segment: no checksum offload (EIO), segments longer than the
  /// path's MTU (EINVAL, newer EMSGSIZE), no such feature.
  static let segmentationRefused: Set<CInt> = [EIO, EINVAL, EMSGSIZE, EOPNOTSUPP, ENOPROTOOPT]
  /// Those of ``segmentationRefused`` that concern this destination only, because its path is too
  /// narrow.
  static let segmentationRefusedForOne: Set<CInt> = [EINVAL, EMSGSIZE]
}

extension NIOBSDSocket.Option {
  /// The option SO_REUSEPORT, which NIO does not define.
  static let reusePort = NIOBSDSocket.Option(rawValue: SO_REUSEPORT)
}

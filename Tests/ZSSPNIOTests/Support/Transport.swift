// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import Testing
import ZSSPNIO

/// The carrier of an endpoint's datagrams.
enum Transport: String, CaseIterable, CustomTestStringConvertible {
  /// Channels of NIO's.
  case channels
  #if os(Linux)
    /// Sockets of the system's own.
    case system
  #endif

  /// The transport of endpoints that name none.
  static var `default`: Transport {
    #if os(Linux)
      .system
    #else
      .channels
    #endif
  }

  var eventLoopGroup: any EventLoopGroup {
    switch self {
    case .channels: MultiThreadedEventLoopGroup.singleton
    #if os(Linux)
      case .system: EpollEventLoopGroup.singleton
    #endif
    }
  }

  var testDescription: String { rawValue }
}

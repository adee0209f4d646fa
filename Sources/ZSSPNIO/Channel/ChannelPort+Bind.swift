// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix

extension ChannelPort {
  /// The size in bytes of one read: the largest datagram, or a GRO super-datagram.
  private static let readSize = 1 << 16
  /// Senders wait when the socket holds more than `high` bytes, until it holds less than `low`.
  private static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 256 << 10, high: 1 << 20)

  /// The sharing of a channel's port with the channels of other shards.
  struct Sharing {
    /// True if other channels hold the port already. The first channel must find the port free.
    let joins: Bool
  }

  /// Binds a channel. Must be called on `eventLoop`.
  ///
  /// - Parameters:
  ///   - address: The local address.
  ///   - owner: Receives what the channel reads, on `eventLoop`.
  ///   - maySegment: True if the kernel may be asked to segment (GSO).
  ///   - sharing: How the port is shared; nil if it is not.
  /// - Returns: The bound address. The future fails with ``UnsupportedEventLoop``, or with the
  ///   system's error.
  static func bind(
    to address: SocketAddress, for owner: any DatagramPortOwner, maySegment: Bool, _ options: UDPOptions,
    on eventLoop: any EventLoop, sharing: Sharing? = nil
  ) -> EventLoopFuture<SocketAddress> {
    guard var bootstrap = DatagramBootstrap(validatingGroup: eventLoop) else {
      return eventLoop.makeFailedFuture(UnsupportedEventLoop())
    }
    let port = ChannelPort(
      owner, segments: maySegment && options.segmentationOffload && System.supportsUDPSegmentationOffload)
    let bound = NIOLoopBound(port, eventLoop: eventLoop)
    let batch = max(1, options.readBatch)
    bootstrap =
      bootstrap
      .channelOption(.datagramVectorReadMessageCount, value: batch)
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: batch * readSize))
      .channelOption(.writeBufferWaterMark, value: waterMark)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try options.configureChannel?(channel)
          try channel.pipeline.syncOperations.addHandler(bound.value)
        }.flatMap {
          setFragmentation(of: channel, at: address, options: options)
        }.flatMap {
          enableOffload(of: channel, options: options, port: bound)
        }
      }
    if let size = options.receiveBufferSize {
      bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: .init(clamping: size))
    }
    if let size = options.sendBufferSize {
      bootstrap = bootstrap.channelOption(.socketOption(.so_sndbuf), value: .init(clamping: size))
    }
    if sharing?.joins == true { bootstrap = bootstrap.channelOption(.socketOption(.reusePort), value: 1) }
    return bootstrap.bind(to: address).flatMap { channel in
      let local = channel.localAddress ?? address
      guard sharing?.joins == false else { return channel.eventLoop.makeSucceededFuture(local) }
      return channel.setOption(.socketOption(.reusePort), value: 1).map { local }
    }
  }

  // [DEC-88]
  /// Sets the "don't fragment" policy of a socket. A kernel that cannot do so is an error only
  /// where fragmentation is forbidden.
  private static func setFragmentation(
    of channel: any Channel, at address: SocketAddress, options: UDPOptions
  ) -> EventLoopFuture<Void> {
    let settings = fragmentationOptions(at: address, options: options).map {
      channel.setOption($0.option, value: $0.value)
    }
    let all = EventLoopFuture.andAllSucceed(settings, on: channel.eventLoop)
    return options.fragmentation == .forbidden
      ? all : all.flatMapError { _ in channel.eventLoop.makeSucceededVoidFuture() }
  }

  // [DEC-88]
  /// Returns the socket options that set the "don't fragment" policy. Empty except on Linux, where
  /// other systems keep their default.
  private static func fragmentationOptions(
    at address: SocketAddress, options: UDPOptions
  ) -> [(option: ChannelOptions.Types.SocketOption, value: SocketOptionValue)] {
    #if os(Linux)
      // IP_MTU_DISCOVER, IPV6_MTU_DISCOVER and their values, from <linux/in.h> and <linux/in6.h>,
      // which Swift does not import.
      let value: SocketOptionValue = options.fragmentation == .forbidden ? 3 : 0
      let v4 = ChannelOptions.Types.SocketOption(level: .ip, name: NIOBSDSocket.Option(rawValue: 10))
      let v6 = ChannelOptions.Types.SocketOption(level: .ipv6, name: NIOBSDSocket.Option(rawValue: 23))
      return address.protocol == .inet6 ? [(v6, value), (v4, value)] : [(v4, value)]
    #else
      return []
    #endif
  }

  /// Enables GRO if the kernel has it and the options allow it. A kernel that refuses is no error.
  private static func enableOffload(
    of channel: any Channel, options: UDPOptions, port bound: NIOLoopBound<ChannelPort>
  ) -> EventLoopFuture<Void> {
    guard options.receiveOffload, System.supportsUDPReceiveOffload else {
      return channel.eventLoop.makeSucceededVoidFuture()
    }
    return channel.setOption(.datagramReceiveSegmentSize, value: true).flatMap {
      channel.setOption(.datagramReceiveOffload, value: true)
    }.map {
      bound.value.receiveOffloadIsOn()
    }.flatMapErrorThrowing { _ in }
  }
}

/// The error for an event loop that belongs neither to NIOPosix nor to this module.
struct UnsupportedEventLoop: Error {}

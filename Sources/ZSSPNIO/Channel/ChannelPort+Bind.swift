// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix

extension ChannelPort {
  /// Room for the largest datagram, and for what GRO puts together.
  private static let readSize = 1 << 16
  /// Senders wait when the socket holds more than `high` bytes, until it holds less than `low`.
  private static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 256 << 10, high: 1 << 20)

  /// How a channel shares its port with those of other shards.
  struct Sharing {
    /// Whether there are others already, which let it join. The first must find the port free.
    let joins: Bool
  }

  /// Binds a channel to `address` and says where it is bound. To be called on the driver's event loop.
  static func bind(
    to address: SocketAddress, for driver: Driver, _ sharing: Sharing? = nil
  ) -> EventLoopFuture<SocketAddress> {
    let (options, bound) = (driver.options, driver.bound)
    guard var bootstrap = DatagramBootstrap(validatingGroup: driver.eventLoop) else {
      return driver.eventLoop.makeFailedFuture(UnsupportedEventLoop())
    }
    let batch = max(1, options.readBatch)
    bootstrap =
      bootstrap
      .channelOption(.datagramVectorReadMessageCount, value: batch)
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: batch * readSize))
      .channelOption(.writeBufferWaterMark, value: waterMark)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try options.configureChannel?(channel)
          try channel.pipeline.syncOperations.addHandler(ChannelPort(bound.value))
        }.flatMap {
          enableOffload(of: channel, options, bound)
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

  /// Turns on what the kernel has and the options allow. A kernel that refuses is no error.
  private static func enableOffload(
    of channel: any Channel, _ options: UDPOptions, _ bound: NIOLoopBound<Driver>
  ) -> EventLoopFuture<Void> {
    bound.value.offersSegmentationOffload(options.segmentationOffload && System.supportsUDPSegmentationOffload)
    bound.value.counters.isUsingReceiveOffload = false
    guard options.receiveOffload, System.supportsUDPReceiveOffload else {
      return channel.eventLoop.makeSucceededVoidFuture()
    }
    return channel.setOption(.datagramReceiveSegmentSize, value: true).flatMap {
      channel.setOption(.datagramReceiveOffload, value: true)
    }.map {
      bound.value.counters.isUsingReceiveOffload = true
    }.flatMapErrorThrowing { _ in }
  }
}

/// The event loop is neither of NIOPosix nor of this module.
struct UnsupportedEventLoop: Error {}

// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// A channel of NIO's as the driver's socket. NIO closes it when the system fails to send; the driver then binds another.
final class ChannelPort: ChannelInboundHandler, DatagramPort {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>
  typealias OutboundOut = AddressedEnvelope<ByteBuffer>

  /// Addresses that are kept; when there are more they are made anew.
  private static let addressLimit = 4096

  private let driver: Driver
  private var context: ChannelHandlerContext?
  /// The bytes of the last flush. The buffer is used again once the socket has let go of it.
  private var sendBuffer = ByteBuffer()
  /// Addresses as NIO wants them, which are costly to make.
  private var socketAddresses: [Address: SocketAddress] = [:]

  init(_ driver: Driver) { self.driver = driver }

  // MARK: What the channel tells

  func channelActive(context: ChannelHandlerContext) {
    self.context = context
    driver.socketOpened(self, localAddress: context.channel.localAddress)
    sendResegmented()
  }

  func channelInactive(context: ChannelHandlerContext) {
    self.context = nil
    driver.socketClosed(self)
  }

  /// A datagram, or several of one sender and one size that the kernel put together (GRO).
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let envelope = unwrapInboundIn(data)
    envelope.data.withUnsafeReadableBytes { bytes in
      // The bytes are decrypted where they lie. Asking the buffer for mutable bytes would copy them: its storage is
      // shared with the other datagrams of the read and with the pool that it came from. These never look at the
      // bytes of this datagram, and this handler is the last in the pipeline, so nobody else does either.
      driver.receive(
        UnsafeMutableRawBufferPointer(mutating: bytes), segmentSize: envelope.metadata?.segmentSize ?? 0,
        from: Address(envelope.remoteAddress), isSteered: false)
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) { driver.readComplete() }

  func channelWritabilityChanged(context: ChannelHandlerContext) { driver.drainSends() }

  /// A read failed. If the failure is fatal NIO closes the channel, and the driver hears of that.
  func errorCaught(context: ChannelHandlerContext, error: any Error) { driver.socketFailed() }

  // MARK: What the driver wants

  var isWritable: Bool { context.map { $0.channel.isActive && $0.channel.isWritable } ?? false }

  var unread: (datagrams: UInt64, hellos: UInt64) { (0, 0) }

  var hasUnsent: Bool {
    guard let channel = context?.channel, channel.isActive else { return false }
    do {
      return try channel.syncOptions?.getOption(.bufferedWritableBytes) ?? 0 > 0
    } catch {
      // A channel without this option keeps nothing that it would tell of.
      return false
    }
  }

  func close(_ completion: @escaping @Sendable () -> Void) {
    guard let context else { return completion() }
    context.close(promise: nil)
    context.channel.closeFuture.whenComplete { _ in completion() }
  }

  func send(_ batch: borrowing DatagramBatch) {
    guard let context, context.channel.isActive else {
      driver.counters.unsentDatagrams += UInt64(batch.count)
      return
    }
    // Slices of one buffer go to the socket. It is the only reference again when they are sent, and then its memory is
    // used again.
    var buffer = sendBuffer
    sendBuffer = ByteBuffer()
    buffer.clear(minimumCapacity: batch.byteCount)
    buffer.writeBytes(batch.bytes)
    for run in batch.runs {
      run.forEachPiece(segmenting: driver.counters.isUsingSegmentationOffload) { range in
        guard let bytes = buffer.getSlice(at: range.lowerBound, length: range.count) else { return }
        write(bytes, run.segmentSize, to: socketAddress(run.address), context)
      }
    }
    context.flush()
    sendBuffer = buffer
  }

  private func write(
    _ bytes: ByteBuffer, _ segmentSize: Int, to address: SocketAddress, _ context: ChannelHandlerContext
  ) {
    driver.counters.writes += 1
    guard bytes.readableBytes > segmentSize else {
      return context.write(NIOAny(AddressedEnvelope(remoteAddress: address, data: bytes)), promise: nil)
    }
    driver.counters.superDatagramsSent += 1
    let metadata = AddressedEnvelope<ByteBuffer>.Metadata(
      ecnState: .transportNotCapable, packetInfo: nil, segmentSize: segmentSize)
    let promise = context.eventLoop.makePromise(of: Void.self)
    // Stands by for the case that the kernel refuses to segment.
    let segments = Resegmented(bytes: bytes, address: address, segmentSize: segmentSize)
    promise.futureResult.assumeIsolated().whenFailure { [self] error in segmentationFailed(segments, error) }
    context.write(
      NIOAny(AddressedEnvelope(remoteAddress: address, data: bytes, metadata: metadata)), promise: promise)
  }

  private func socketAddress(_ address: Address) -> SocketAddress {
    if let known = socketAddresses[address] { return known }
    if socketAddresses.count >= Self.addressLimit { socketAddresses.removeAll(keepingCapacity: true) }
    let made = address.socketAddress
    socketAddresses[address] = made
    return made
  }
}

/// Segments that the kernel refused to make, to be sent one by one.
struct Resegmented {
  let bytes: ByteBuffer
  let address: SocketAddress
  let segmentSize: Int
}

extension ChannelPort {
  /// The kernel cannot segment, or not for this network device. What it refused is sent in single datagrams, and from
  /// now on everything is.
  private func segmentationFailed(_ segments: Resegmented, _ error: any Error) {
    guard !driver.isClosed, let error = error as? IOError, Errno.segmentationRefused.contains(error.errnoCode) else {
      return
    }
    driver.counters.isUsingSegmentationOffload = false
    driver.resegmented.append(segments)
    if error.errnoCode == Errno.messageTooLarge {
      // The socket lives on; after other errors NIO closes it, and its replacement sends them.
      driver.socketFailed()
      sendResegmented()
    }
  }

  /// Sends what the kernel refused to segment, on this socket or on the one before.
  private func sendResegmented() {
    guard let context, context.channel.isActive, !driver.resegmented.isEmpty else { return }
    let refused = driver.resegmented
    driver.resegmented = []
    for segments in refused {
      var bytes = segments.bytes
      while let segment = bytes.readSlice(length: min(segments.segmentSize, bytes.readableBytes)),
        segment.readableBytes > 0
      {
        write(segment, segment.readableBytes, to: segments.address, context)
      }
    }
    context.flush()
  }
}

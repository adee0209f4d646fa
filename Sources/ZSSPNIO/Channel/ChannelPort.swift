// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// A NIO channel as a socket. NIO closes it when the system fails to send; its owner then binds
/// another.
final class ChannelPort: ChannelInboundHandler, DatagramPort {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>
  typealias OutboundOut = AddressedEnvelope<ByteBuffer>

  /// The maximum number of cached addresses. When the cache is full, it is emptied.
  private static let addressLimit = 4096

  private let owner: any DatagramPortOwner
  private var context: ChannelHandlerContext?
  private(set) var counters = SocketCounters()
  /// The bytes of the last flush. The buffer is reused once the channel has released its slices.
  private var sendBuffer = ByteBuffer()
  /// Addresses in NIO's form, which are expensive to make.
  private var socketAddresses: [Address: SocketAddress] = [:]

  /// - Parameter segments: True if the kernel may segment.
  init(_ owner: any DatagramPortOwner, segments: Bool) {
    self.owner = owner
    counters.isUsingSegmentationOffload = segments
  }

  /// Records that the kernel merges received datagrams (GRO).
  func receiveOffloadIsOn() { counters.isUsingReceiveOffload = true }

  // MARK: What the channel tells

  func channelActive(context: ChannelHandlerContext) {
    self.context = context
    owner.portOpened(self, localAddress: context.channel.localAddress)
    sendRefusedSegments()
  }

  func channelInactive(context: ChannelHandlerContext) {
    self.context = nil
    owner.portClosed(self)
  }

  /// Called with a datagram, or with several of one sender and one size that the kernel merged
  /// (GRO).
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let envelope = unwrapInboundIn(data)
    let segmentSize = envelope.metadata?.segmentSize ?? 0
    counters.countRead(isSuper: segmentSize > 0 && segmentSize < envelope.data.readableBytes)
    envelope.data.withUnsafeReadableBytes { bytes in
      // The bytes are decrypted where they lie. Asking the buffer for mutable bytes would copy
      // them: its storage is shared with the other datagrams of the read and with the pool that it
      // came from. These never look at the bytes of this datagram, and this handler is the last in
      // the pipeline, so nothing else reads them.
      owner.receive(
        UnsafeMutableRawBufferPointer(mutating: bytes), segmentSize: segmentSize,
        from: Address(envelope.remoteAddress), isSteered: false)
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) { owner.readComplete() }

  func channelWritabilityChanged(context: ChannelHandlerContext) { owner.portHasRoom() }

  /// Called when a read failed. After a fatal failure NIO closes the channel, and
  /// ``channelInactive(context:)`` follows.
  func errorCaught(context: ChannelHandlerContext, error: any Error) { counters.sendErrors += 1 }

  // MARK: What the owner wants

  var isWritable: Bool { context.map { $0.channel.isActive && $0.channel.isWritable } ?? false }

  var hasUnsent: Bool {
    guard let channel = context?.channel, channel.isActive else { return false }
    do {
      return try channel.syncOptions?.getOption(.bufferedWritableBytes) ?? 0 > 0
    } catch {
      // A channel without this option reports no unsent bytes.
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
      counters.unsentDatagrams += UInt64(batch.count)
      return
    }
    // Slices of one buffer go to the socket. When all are sent, `sendBuffer` is the only reference
    // again, and its memory is reused.
    var buffer = sendBuffer
    sendBuffer = ByteBuffer()
    buffer.clear(minimumCapacity: batch.byteCount)
    buffer.writeBytes(batch.bytes)
    for run in batch.runs {
      run.forEachPiece(segmenting: counters.isUsingSegmentationOffload) { range in
        guard let bytes = buffer.getSlice(at: range.lowerBound, length: range.count) else { return }
        write(bytes, segmentSize: run.segmentSize, to: socketAddress(run.address), context: context)
      }
    }
    context.flush()
    sendBuffer = buffer
  }

  private func write(
    _ bytes: ByteBuffer, segmentSize: Int, to address: SocketAddress, context: ChannelHandlerContext
  ) {
    counters.writes += 1
    guard bytes.readableBytes > segmentSize else {
      return context.write(NIOAny(AddressedEnvelope(remoteAddress: address, data: bytes)), promise: nil)
    }
    counters.superDatagramsSent += 1
    let metadata = AddressedEnvelope<ByteBuffer>.Metadata(
      ecnState: .transportNotCapable, packetInfo: nil, segmentSize: segmentSize)
    let promise = context.eventLoop.makePromise(of: Void.self)
    // Kept in case the kernel refuses to segment.
    let segments = RefusedSegments(bytes: bytes, address: address, segmentSize: segmentSize)
    promise.futureResult.assumeIsolated().whenFailure { [self] error in segmentationFailed(segments, with: error) }
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

extension ChannelPort {
  /// Called when the kernel cannot segment, at all or on this network device. Sends the refused
  /// bytes as single datagrams, and stops segmenting.
  private func segmentationFailed(_ segments: RefusedSegments, with error: any Error) {
    guard let error = error as? IOError, Errno.segmentationRefused.contains(error.errnoCode) else { return }
    counters.isUsingSegmentationOffload = false
    owner.keep(segments)
    if error.errnoCode == Errno.messageTooLarge {
      // The socket stays open. After other errors NIO closes it, and its replacement sends the
      // segments.
      counters.sendErrors += 1
      sendRefusedSegments()
    }
  }

  /// Sends what the kernel refused to segment, on this socket or on its predecessor.
  private func sendRefusedSegments() {
    guard let context, context.channel.isActive else { return }
    let refused = owner.takeRefusedSegments()
    guard !refused.isEmpty else { return }
    for segments in refused {
      var bytes = segments.bytes
      while let segment = bytes.readSlice(length: min(segments.segmentSize, bytes.readableBytes)),
        segment.readableBytes > 0
      {
        write(segment, segmentSize: segment.readableBytes, to: segments.address, context: context)
      }
    }
    context.flush()
  }
}

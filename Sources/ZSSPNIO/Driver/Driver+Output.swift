// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Segments that the kernel refused to make, to be sent one by one.
struct Resegmented {
  let bytes: ByteBuffer
  let address: SocketAddress
  let segmentSize: Int
}

/// Datagrams on their way out.
extension Driver {
  /// What the kernel takes as one super-datagram: at most this many segments…
  private static let segmentLimit = 64
  /// …and bytes.
  private static let superDatagramLimit = 65_000
  /// How much is sealed before it is given to the socket.
  private static let sendChunk = 256 << 10
  /// Addresses that are kept; when there are more they are made anew.
  private static let addressLimit = 4096

  /// Whether datagrams can be given to the socket.
  private var isWritable: Bool { context.map { $0.channel.isActive && $0.channel.isWritable } ?? false }

  /// Seals and sends what tasks have queued, as long as the socket takes it.
  func drainSends() {
    guard !isDraining, !isClosed else { return }
    isDraining = true
    defer { isDraining = false }
    while isWritable {
      let items = sendQueue.take(weight: Self.sendChunk)
      if items.isEmpty { break }
      let now = now
      var rest = items[...]
      while let session = rest.first?.session {
        let run = rest.prefix { $0.session == session }
        send(run, on: session, at: now)
        rest = rest.dropFirst(run.count)
      }
      pump()
    }
  }

  /// Sends neighbours of the queue that are for one session.
  private func send(_ items: ArraySlice<SendQueue.Item>, on session: SessionID, at now: Instant) {
    var sent = 0
    do {
      try endpoint.send(on: session, at: now) { run throws(SendError) in
        for item in items {
          switch item.payload {
          case .array(let bytes): try run.append(bytes.span.bytes)
          case .buffer(let buffer): try run.append(buffer.readableBytesSpan)
          }
          sent += 1
        }
      }
    } catch {
      // Sizes were checked before, so the session has ended, and takes none of the rest either.
      counters.messagesUnsent += UInt64(items.count - sent)
    }
  }

  /// Gives the endpoint's datagrams to the socket, and has it send them.
  func writeOutbox() {
    guard !endpoint.outbox.isEmpty else { return }
    defer { endpoint.outbox.removeAll() }
    guard let context, context.channel.isActive else {
      counters.unsentDatagrams += UInt64(endpoint.outbox.count)
      return
    }
    // Slices of one buffer go to the socket. It is the only reference again when they are sent, and then its memory is
    // used again.
    var buffer = sendBuffer
    sendBuffer = ByteBuffer()
    buffer.clear(minimumCapacity: endpoint.outbox.byteCount)
    buffer.writeBytes(endpoint.outbox.bytes)
    for run in endpoint.outbox.runs { write(run, of: buffer, to: context) }
    context.flush()
    sendBuffer = buffer
  }

  private func write(_ run: DatagramBatch.Run, of buffer: ByteBuffer, to context: ChannelHandlerContext) {
    let address = socketAddress(run.address)
    let segments =
      counters.isUsingSegmentationOffload
      ? min(Self.segmentLimit, Self.superDatagramLimit / run.segmentSize, run.count) : 1
    let stride = max(1, segments) * run.segmentSize
    var start = run.range.lowerBound
    while start < run.range.upperBound {
      let end = min(start + stride, run.range.upperBound)
      defer { start = end }
      guard let bytes = buffer.getSlice(at: start, length: end - start) else { return }
      if bytes.readableBytes > run.segmentSize {
        writeSegmented(Resegmented(bytes: bytes, address: address, segmentSize: run.segmentSize), to: context)
      } else {
        write(bytes, to: address, context)
      }
    }
  }

  private func write(_ bytes: ByteBuffer, to address: SocketAddress, _ context: ChannelHandlerContext) {
    counters.writes += 1
    context.write(NIOAny(AddressedEnvelope(remoteAddress: address, data: bytes)), promise: nil)
  }

  /// Writes a super-datagram (GSO), and stands by for the case that the kernel refuses it.
  private func writeSegmented(_ segments: Resegmented, to context: ChannelHandlerContext) {
    counters.writes += 1
    counters.superDatagramsSent += 1
    let metadata = AddressedEnvelope<ByteBuffer>.Metadata(
      ecnState: .transportNotCapable, packetInfo: nil, segmentSize: segments.segmentSize)
    let envelope = AddressedEnvelope(remoteAddress: segments.address, data: segments.bytes, metadata: metadata)
    let promise = eventLoop.makePromise(of: Void.self)
    promise.futureResult.assumeIsolated().whenFailure { [self] error in segmentationFailed(segments, error) }
    context.write(NIOAny(envelope), promise: promise)
  }

  /// The kernel cannot segment, or not for this network device. What it refused is sent in single datagrams, and from
  /// now on everything is.
  private func segmentationFailed(_ segments: Resegmented, _ error: any Error) {
    guard !isClosed, let error = error as? IOError, Errno.segmentationRefused.contains(error.errnoCode) else { return }
    counters.isUsingSegmentationOffload = false
    resegmented.append(segments)
    if error.errnoCode == Errno.messageTooLarge {
      // The socket lives on; after other errors NIO closes it, and its replacement sends them.
      counters.sendErrors += 1
      writeResegmented()
    }
  }

  /// Sends what the kernel refused to segment.
  func writeResegmented() {
    guard let context, context.channel.isActive, !resegmented.isEmpty else { return }
    let refused = resegmented
    resegmented = []
    for segments in refused {
      var bytes = segments.bytes
      while let segment = bytes.readSlice(length: min(segments.segmentSize, bytes.readableBytes)),
        segment.readableBytes > 0
      {
        write(segment, to: segments.address, context)
      }
    }
    context.flush()
  }

  private func socketAddress(_ address: Address) -> SocketAddress {
    if let known = socketAddresses[address] { return known }
    if socketAddresses.count >= Self.addressLimit { socketAddresses.removeAll(keepingCapacity: true) }
    let made = address.socketAddress
    socketAddresses[address] = made
    return made
  }
}

// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Datagrams on their way in.
extension Driver {
  /// Takes what one read brought: a datagram, or several of one sender and one size that the kernel put together (GRO).
  func receive(_ envelope: AddressedEnvelope<ByteBuffer>) {
    counters.reads += 1
    guard !isClosed else { return }
    // The system refuses to send to port 0, and NIO closes a socket that fails to send.
    guard let source = Address(envelope.remoteAddress), source.port != 0 else {
      counters.unusableSources += 1
      return
    }
    let now = now
    let segmentSize = envelope.metadata?.segmentSize ?? 0
    envelope.data.withUnsafeReadableBytes { bytes in
      // The bytes are decrypted where they lie. Asking the buffer for mutable bytes would copy them: its storage is
      // shared with the other datagrams of the read and with the pool that it came from. These never look at the
      // bytes of this datagram, and the endpoint's handler is the last in the pipeline, so nobody else does either.
      let bytes = UnsafeMutableRawBufferPointer(mutating: bytes)
      guard segmentSize > 0, segmentSize < bytes.count else { return receive(bytes, from: source, at: now) }
      counters.superDatagramsReceived += 1
      for start in stride(from: 0, to: bytes.count, by: segmentSize) {
        let end = min(start + segmentSize, bytes.count)
        receive(UnsafeMutableRawBufferPointer(rebasing: bytes[start..<end]), from: source, at: now)
      }
    }
  }

  private func receive(_ bytes: UnsafeMutableRawBufferPointer, from source: Address, at now: Instant) {
    var datagram = MutableRawSpan(_unsafeBytes: bytes)
    switch endpoint.receive(&datagram, from: source, at: now) {
    case .message(let id, let range):
      deliver(Array(UnsafeRawBufferPointer(rebasing: bytes[range])), to: id)
    case .assembled(let id, let message):
      deliver(message, to: id)
    case .handled, .dropped:
      break
    }
  }

  /// Gathers the messages of a burst, so that the reader's lock is taken once for neighbours.
  private func deliver(_ message: [UInt8], to id: SessionID) {
    if burstSession != id {
      deliverBurst()
      burstSession = id
    }
    burst.append(message)
  }

  /// Hands over the messages that were gathered.
  func deliverBurst() {
    guard let id = burstSession.take() else { return }
    counters.messagesDropped += UInt64(inbox(id).messages.append(contentsOf: burst))
    burst.removeAll(keepingCapacity: true)
  }

  /// There is nothing more to read for now.
  func readComplete() {
    counters.readBursts += 1
    guard !isClosed else { return }
    deliverBurst()
    pump()
  }
}

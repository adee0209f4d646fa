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
      let isSuper = segmentSize > 0 && segmentSize < bytes.count
      if isSuper { counters.superDatagramsReceived += 1 }
      var burst = MutableRawSpan(_unsafeBytes: bytes)
      // A datagram of no bytes is one too.
      guard !bytes.isEmpty else { return _ = endpoint.receive(&burst, from: source, at: now) }
      endpoint.receive(burst: &burst, segmentSize: isSuper ? segmentSize : bytes.count, from: source, at: now)
      for delivery in endpoint.inbox {
        let message = delivery.assembled ?? Array(UnsafeRawBufferPointer(rebasing: bytes[delivery.range]))
        deliver(message, to: delivery.session)
      }
      endpoint.inbox.removeAll(keepingCapacity: true)
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

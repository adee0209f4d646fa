// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Neighbouring messages of one session in a burst of reads.
struct Burst {
  var session: SessionID?
  /// Who takes the session's messages where they lie. If nobody does, they are gathered, so that the reader's lock is taken
  /// once for all.
  var handler: (any MessageHandler)?
  var messages: [[UInt8]] = []
}

/// Datagrams on their way in.
extension Driver {
  /// Takes what one read brought: a datagram, or several of one sender and one size that the kernel put together (GRO).
  ///
  /// - Parameters:
  ///   - bytes: the datagrams. They are decrypted where they lie.
  ///   - segmentSize: the size of each but the last, if there are several; else 0.
  ///   - source: where they came from; nil if that is no IP address.
  ///   - isSteered: whether the system has seen to it that they are for this shard, if there are several.
  func receive(
    _ bytes: UnsafeMutableRawBufferPointer, segmentSize: Int, from source: Address?, isSteered: Bool
  ) {
    counters.reads += 1
    guard !isClosed else { return }
    // The system refuses to send to port 0, and NIO closes a socket that fails to send.
    guard let source, source.port != 0 else {
      counters.unusableSources += 1
      return
    }
    let isSuper = segmentSize > 0 && segmentSize < bytes.count
    if isSuper { counters.superDatagramsReceived += 1 }
    // What the kernel put together it steered by the first.
    if siblings == nil || isSteered && !isSuper {
      take(bytes, segmentSize: isSuper ? segmentSize : bytes.count, from: source)
    } else {
      handOver(bytes, segmentSize: isSuper ? segmentSize : bytes.count, from: source)
    }
  }

  /// Gives datagrams that are for this shard to its endpoint.
  func take(_ bytes: UnsafeMutableRawBufferPointer, segmentSize: Int, from source: Address) {
    let now = now
    var datagrams = MutableRawSpan(_unsafeBytes: bytes)
    // A datagram of no bytes is one too.
    guard !bytes.isEmpty else { return _ = endpoint.receive(&datagrams, from: source, at: now) }
    endpoint.receive(burst: &datagrams, segmentSize: segmentSize, from: source, at: now)
    for delivery in endpoint.inbox { deliver(delivery, of: datagrams.bytes) }
    endpoint.inbox.removeAll(keepingCapacity: true)
  }

  private func deliver(_ delivery: Delivery, of datagrams: RawSpan) {
    if burst.session != delivery.session {
      deliverBurst()
      burst.session = delivery.session
      burst.handler = handlers[delivery.session]
    }
    switch (burst.handler, delivery.assembled) {
    case (let handler?, let message?): handler.receive(message.span.bytes)
    case (let handler?, nil): handler.receive(datagrams.extracting(delivery.range))
    case (nil, let message?): burst.messages.append(message)
    case (nil, nil): burst.messages.append(Array(datagrams.extracting(delivery.range)))
    }
  }

  /// Hands over the messages that were gathered.
  func deliverBurst() {
    guard let id = burst.session.take() else { return }
    if let handler = burst.handler.take() { return handler.burstEnded() }
    counters.messagesDropped += UInt64(inbox(id).messages.append(contentsOf: burst.messages))
    burst.messages.removeAll(keepingCapacity: true)
  }

  /// There is nothing more to read for now.
  func readComplete() {
    counters.readBursts += 1
    guard !isClosed else { return }
    deliverBurst()
    pump()
  }

  /// From now on `handler` takes the messages of a session, and first of all those that wait to be read. Says whether
  /// there is such a session.
  func setHandler(_ handler: any MessageHandler, for id: SessionID) -> Bool {
    guard !isClosed, let inbox = inboxes[id] else { return false }
    handlers[id] = handler
    let waiting = inbox.messages.takeAll()
    for message in waiting { handler.receive(message.span.bytes) }
    if !waiting.isEmpty { handler.burstEnded() }
    return true
  }
}

extension Array<UInt8> {
  /// A copy of the bytes.
  fileprivate init(_ bytes: RawSpan) {
    self = bytes.withUnsafeBytes { Array($0) }
  }
}

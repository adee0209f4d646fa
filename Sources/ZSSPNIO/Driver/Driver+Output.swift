// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Outgoing datagrams.
extension Driver {
  /// The bytes that are sealed before they are given to the socket: enough for a few
  /// super-datagrams, and few enough to stay in the processor's cache while the system copies them.
  private static let sendChunk = 256 << 10

  /// The number of chunks that are sealed before the event loop runs other work.
  private static let chunksAtOnce = 4

  /// Seals and sends queued messages while the socket takes them. After ``chunksAtOnce`` chunks
  /// other work of the event loop gets its turn, so that a fast sender cannot occupy it.
  func drainSends() {
    guard !isDraining, !isClosed else { return }
    isDraining = true
    defer { isDraining = false }
    var chunks = 0
    while socket.port?.isWritable == true {
      guard chunks < Self.chunksAtOnce else { return drainLater() }
      chunks += 1
      let items = sendQueue.take(weight: Self.sendChunk)
      if items.isEmpty { break }
      send(items)
      pump()
    }
  }

  /// Sends dequeued messages, neighbours of one session together. Where many sessions follow each
  /// other, their memory is prefetched.
  private func send(_ items: [SendQueue.Item]) {
    let now = now
    var rest = items[...]
    var fetched = 0
    while let session = rest.first?.session {
      let run = rest.prefix { $0.session == session }
      if fetched == 0, run.count < rest.count { fetched = prefetch(rest) }
      send(run, on: session, at: now)
      rest = rest.dropFirst(run.count)
      fetched = max(0, fetched - 1)
    }
  }

  /// Prefetches the sessions that come next, and returns how many they are.
  private func prefetch(_ items: ArraySlice<SendQueue.Item>) -> Int {
    var sessions: [SessionID] = []
    for item in items where item.session != sessions.last {
      sessions.append(item.session)
      if sessions.count == Endpoint.prefetchLimit { break }
    }
    endpoint.prefetch(sessions.span)
    return sessions.count
  }

  /// Seals and sends at once what `body` writes.
  ///
  /// - Returns: False, without calling `body`, if the socket takes no more or the queue is being
  ///   emptied.
  func sendNow(on session: SessionID, _ body: (inout SendRun) throws(SendError) -> Void) -> Bool {
    guard !isClosed, !isDraining, socket.port?.isWritable == true else { return false }
    do { try endpoint.send(on: session, at: now, body) } catch { counted.messagesUnsent += 1 }
    pump()
    return true
  }

  private func drainLater() {
    let bound = bound
    eventLoop.execute { bound.value.drainSends() }
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
          case .writer(_, let write): try write(&run)
          }
          sent += 1
        }
      }
    } catch {
      // Sizes were checked before. So the session has ended and takes no more messages, or a writer
      // threw.
      counted.messagesUnsent += UInt64(items.count - sent)
    }
  }

  /// Gives the endpoint's outgoing datagrams to the socket.
  func writeOutbox() {
    guard !endpoint.outbox.isEmpty else { return }
    if let port = socket.port {
      port.send(endpoint.outbox)
      for refused in port.takeTooLarge() { endpoint.datagramRefused(ofBytes: refused.size, to: refused.address) }
    } else {
      socket.countUnsent(endpoint.outbox.count)
    }
    endpoint.outbox.removeAll()
  }
}

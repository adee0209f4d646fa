// SPDX-License-Identifier: Apache-2.0

/// What happened: counters, and the events that the application is still to be told of.
struct Journal {
  /// Counters of what came, went and was dropped.
  private(set) var statistics = Statistics()
  private var events = Queue<Event>()

  /// Adds an event.
  mutating func emit(_ event: Event) { events.push(event) }

  /// The next event, the oldest first.
  mutating func nextEvent() -> Event? { events.pop() }

  // [FRAG-17]
  /// Counts a datagram or packet of which nothing came.
  mutating func drop(_ reason: DropReason) { statistics.count(reason) }

  /// Counts items of public-key work that were asked for.
  mutating func countWork() { statistics.publicKeyWork += 1 }
  /// Counts a handshake that led to a session.
  mutating func countSession() { statistics.sessionsEstablished += 1 }

  /// Counts datagrams that came in.
  mutating func countReceived(datagrams: Int, bytes: Int) {
    statistics.datagramsReceived += UInt64(datagrams)
    statistics.bytesReceived += UInt64(bytes)
  }

  /// Counts datagrams that were queued to go out: what a batch has come to since.
  mutating func countSent(_ before: DatagramBatch.Tally, _ now: DatagramBatch.Tally) {
    statistics.datagramsSent += UInt64(now.datagrams - before.datagrams)
    statistics.bytesSent += UInt64(now.bytes - before.bytes)
  }

  /// Counts messages that were delivered.
  mutating func countDelivered(_ messages: UInt64) { statistics.messagesReceived += messages }
  /// Counts messages that were sent.
  mutating func countMessagesSent(_ messages: Int) { statistics.messagesSent += UInt64(messages) }
}

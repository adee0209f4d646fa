// SPDX-License-Identifier: Apache-2.0

/// The counters, the events that the application has not received yet, and the trace.
struct Journal {
  /// The records of each step; nil, as usually, if the endpoint is not traced.
  let trace: TraceLog?
  /// Counters of received, sent and dropped datagrams and messages.
  private(set) var statistics = Statistics()
  private var events = Queue<Event>()

  /// Creates a journal without counts and events.
  init(trace: TraceLog?) { self.trace = trace }

  /// Adds an event.
  mutating func emit(_ event: Event) { events.push(event) }

  /// Removes and returns the oldest event.
  mutating func nextEvent() -> Event? { events.pop() }

  // [FRAG-17]
  /// Counts a dropped datagram or packet.
  mutating func drop(_ reason: DropReason) { statistics.count(reason) }

  /// Counts a Hello that is read.
  mutating func countHelloAdmitted() { statistics.hellosAdmitted += 1 }
  /// Counts a Hello that is answered with a challenge.
  mutating func countHelloChallenged() { statistics.hellosChallenged += 1 }

  /// Counts Hellos that are dropped unread. The reason is counted by ``drop(_:)``.
  mutating func countHellosDropped(_ count: Int = 1) { statistics.hellosDropped += UInt64(count) }

  /// Counts a request for public-key work.
  mutating func countWork() { statistics.publicKeyWork += 1 }
  /// Counts a handshake that led to a session.
  mutating func countSession() { statistics.sessionsEstablished += 1 }

  /// Counts received datagrams.
  mutating func countReceived(datagrams: Int, bytes: Int) {
    statistics.datagramsReceived += UInt64(datagrams)
    statistics.bytesReceived += UInt64(bytes)
  }

  /// Counts the datagrams that were added to a batch between two of its tallies.
  mutating func countSent(from before: DatagramBatch.BatchCounts, to now: DatagramBatch.BatchCounts) {
    statistics.datagramsSent += UInt64(now.datagrams - before.datagrams)
    statistics.bytesSent += UInt64(now.bytes - before.bytes)
  }

  /// Counts messages that were delivered.
  mutating func countDelivered(_ messages: UInt64) { statistics.messagesReceived += messages }
  /// Counts messages that were sent.
  mutating func countMessagesSent(_ messages: Int) { statistics.messagesSent += UInt64(messages) }
}

// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// The counters that the protocol keeps, `ZSSP.Statistics` under the name that tells it from the others:
/// ``EndpointStatistics`` has all of an endpoint, ``TransportStatistics`` what the transport counts, `SessionStatistics`
/// what one session counts, and `SQLiteStoreStatistics` what a store counts.
public typealias ProtocolStatistics = Statistics

/// Counters of an endpoint from its start, and how many sessions it has now.
public struct EndpointStatistics: Sendable, Hashable {
  /// What the protocol counts.
  public internal(set) var endpoint: ProtocolStatistics
  /// What the transport counts.
  public internal(set) var transport = TransportStatistics()
  /// Sessions in any state.
  public internal(set) var sessions = 0
  /// Handshakes of others that are half-open.
  public internal(set) var halfOpenHandshakes = 0

  /// The counters of two shards together.
  func adding(_ other: EndpointStatistics) -> EndpointStatistics {
    var sum = self
    sum.endpoint = endpoint.adding(other.endpoint)
    sum.transport = transport.adding(other.transport)
    sum.sessions += other.sessions
    sum.halfOpenHandshakes += other.halfOpenHandshakes
    return sum
  }
}

/// Counters of the transport under an endpoint.
public struct TransportStatistics: Sendable, Hashable {
  /// Datagrams that the socket delivered; several that the kernel had put together (GRO) count as one.
  public internal(set) var reads: UInt64 = 0
  /// Bursts in which they came: the outputs of a burst are written together.
  public internal(set) var readBursts: UInt64 = 0
  /// Of the reads, those in which the kernel had put several datagrams together.
  public internal(set) var superDatagramsReceived: UInt64 = 0
  /// Datagrams that came to another shard than theirs, and were handed over.
  public internal(set) var handedOver: UInt64 = 0
  /// Datagrams that could not be handed over, because too many were on their way.
  public internal(set) var handOversDropped: UInt64 = 0
  /// Datagrams from addresses that nothing can be sent to.
  public internal(set) var unusableSources: UInt64 = 0
  /// Datagrams that the system dropped because its buffer was full; several that came together count as one. Linux tells of its own
  /// sockets, and of no others.
  public internal(set) var unreadDatagrams: UInt64 = 0
  /// The same of the socket that Hellos come to, if they have one.
  public internal(set) var unreadHellos: UInt64 = 0
  /// Datagrams that were given to the socket; a super-datagram counts as one.
  public internal(set) var writes: UInt64 = 0
  /// Of the writes, those that the kernel was to segment (GSO).
  public internal(set) var superDatagramsSent: UInt64 = 0
  /// Datagrams that were dropped because there was no socket to send them with.
  public internal(set) var unsentDatagrams: UInt64 = 0
  /// Failures of the socket to send.
  public internal(set) var sendErrors: UInt64 = 0
  /// Sockets that failed and were replaced by another on the same port.
  public internal(set) var socketsReplaced: UInt64 = 0
  /// Messages that were dropped because the reader of a session was slow.
  public internal(set) var messagesDropped: UInt64 = 0
  /// Messages that could not be sent because their session ended first.
  public internal(set) var messagesUnsent: UInt64 = 0
  /// Handshakes of others that were refused because too many waited for a decision.
  public internal(set) var incomingRefused: UInt64 = 0
  /// Handshakes that went on without the ratchet; see ``UDPEndpoint/downgrades``.
  public internal(set) var downgrades: UInt64 = 0
  /// Handshakes of others that were not decided on in time.
  public internal(set) var incomingExpired: UInt64 = 0
  /// Of these, handshakes that ``UDPEndpoint/incoming`` had not even delivered: nothing reads it, or too slowly.
  public internal(set) var incomingUnread: UInt64 = 0
  /// Public-key work for strangers that was refused because there was too much of it.
  public internal(set) var publicKeyWorkRefused: UInt64 = 0
  /// Processor time of public-key work that Hellos led to: reading them, answering them, and
  /// reading X3. The ``HelloBudget`` pays for it.
  public internal(set) var timeOnHellos = Duration.zero
  /// Requests to the ratchet store that failed because too many waited.
  public internal(set) var storeRequestsRefused: UInt64 = 0
  /// Requests to the ratchet store that failed because they were not answered within
  /// ``UDPOptions/storeTimeout``.
  public internal(set) var storeRequestsTimedOut: UInt64 = 0
  /// Whether super-datagrams are sent (GSO).
  public internal(set) var isUsingSegmentationOffload = false
  /// Whether super-datagrams are received (GRO).
  public internal(set) var isUsingReceiveOffload = false

  /// Takes the counts of sockets.
  mutating func setCounts(of sockets: SocketCounters) {
    reads = sockets.reads
    superDatagramsReceived = sockets.superDatagramsReceived
    unreadDatagrams = sockets.unreadDatagrams
    unreadHellos = sockets.unreadHellos
    writes = sockets.writes
    superDatagramsSent = sockets.superDatagramsSent
    unsentDatagrams = sockets.unsentDatagrams
    sendErrors = sockets.sendErrors
    isUsingSegmentationOffload = sockets.isUsingSegmentationOffload
    isUsingReceiveOffload = sockets.isUsingReceiveOffload
  }

  /// The counters of two shards together. What one of them does not use is not used.
  func adding(_ other: TransportStatistics) -> TransportStatistics {
    var sum = self
    sum.reads += other.reads
    sum.readBursts += other.readBursts
    sum.superDatagramsReceived += other.superDatagramsReceived
    sum.handedOver += other.handedOver
    sum.handOversDropped += other.handOversDropped
    sum.unusableSources += other.unusableSources
    sum.unreadDatagrams += other.unreadDatagrams
    sum.unreadHellos += other.unreadHellos
    sum.writes += other.writes
    sum.superDatagramsSent += other.superDatagramsSent
    sum.unsentDatagrams += other.unsentDatagrams
    sum.sendErrors += other.sendErrors
    sum.socketsReplaced += other.socketsReplaced
    sum.messagesDropped += other.messagesDropped
    sum.messagesUnsent += other.messagesUnsent
    sum.incomingRefused += other.incomingRefused
    sum.downgrades += other.downgrades
    sum.incomingExpired += other.incomingExpired
    sum.incomingUnread += other.incomingUnread
    sum.publicKeyWorkRefused += other.publicKeyWorkRefused
    sum.timeOnHellos += other.timeOnHellos
    sum.storeRequestsRefused += other.storeRequestsRefused
    sum.storeRequestsTimedOut += other.storeRequestsTimedOut
    sum.isUsingSegmentationOffload = isUsingSegmentationOffload && other.isUsingSegmentationOffload
    sum.isUsingReceiveOffload = isUsingReceiveOffload && other.isUsingReceiveOffload
    return sum
  }
}

// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// The protocol's counters: `ZSSP.Statistics` under a name that differs from the other counters.
/// ``EndpointStatistics`` has all of an endpoint, ``TransportStatistics`` those of the transport,
/// `SessionStatistics` those of one session, and `SQLiteStoreStatistics` those of a store.
public typealias ProtocolStatistics = Statistics

/// Counters of an endpoint since its start, and its current number of sessions.
public struct EndpointStatistics: Sendable, Hashable {
  /// The counters of the protocol.
  public internal(set) var endpoint: ProtocolStatistics
  /// The counters of the transport.
  public internal(set) var transport = TransportStatistics()
  /// The number of sessions in any state.
  public internal(set) var sessions = 0
  /// The number of half-open handshakes of peers.
  public internal(set) var halfOpenHandshakes = 0
  /// The handshakes that the application waited for.
  public internal(set) var handshakes = HandshakeStatistics()
  /// The current lengths of the queues.
  public internal(set) var queues = QueueLengths()

  /// Returns the sum of the counters of two shards.
  func adding(_ other: EndpointStatistics) -> EndpointStatistics {
    var sum = self
    sum.endpoint = endpoint.adding(other.endpoint)
    sum.transport = transport.adding(other.transport)
    sum.sessions += other.sessions
    sum.halfOpenHandshakes += other.halfOpenHandshakes
    // Shards share the handshakes, which are added last.
    sum.queues = queues.adding(other.queues)
    return sum
  }
}

/// The lengths of an endpoint's queues at one moment.
public struct QueueLengths: Sendable, Hashable {
  /// Hellos that wait to be read.
  public internal(set) var hellos = 0
  /// Handshakes of peers that wait in ``UDPEndpoint/incoming``.
  public internal(set) var incoming = 0
  /// Items of public-key work that wait or run.
  public internal(set) var publicKeyWork = 0
  /// Requests to the ratchet store that wait or run.
  public internal(set) var storeRequests = 0
  /// Bytes of messages that wait to be sealed and sent.
  public internal(set) var sendBytes = 0

  /// Returns the sum of the lengths of two shards.
  func adding(_ other: QueueLengths) -> QueueLengths {
    var sum = self
    sum.hellos += other.hellos
    sum.incoming += other.incoming
    sum.publicKeyWork += other.publicKeyWork
    sum.storeRequests += other.storeRequests
    sum.sendBytes += other.sendBytes
    return sum
  }
}

/// Counters of the transport under an endpoint, since its start.
public struct TransportStatistics: Sendable, Hashable {
  /// Datagrams that the socket delivered; a super-datagram (GRO) counts as one.
  public internal(set) var reads: UInt64 = 0
  /// Bursts of reads. The endpoint's output is written once per burst.
  public internal(set) var readBursts: UInt64 = 0
  /// Reads that were super-datagrams (GRO).
  public internal(set) var superDatagramsReceived: UInt64 = 0
  /// Datagrams that arrived at a shard other than their own, and were handed over.
  public internal(set) var handedOver: UInt64 = 0
  /// Datagrams that were dropped instead of handed over, because the queue was full.
  public internal(set) var handOversDropped: UInt64 = 0
  /// Datagrams from addresses that cannot be sent to.
  public internal(set) var unusableSources: UInt64 = 0
  /// Datagrams that the system dropped because its receive buffer was full; a super-datagram counts
  /// as one. Always 0 except for the sockets of a ``EpollEventLoopGroup``.
  public internal(set) var unreadDatagrams: UInt64 = 0
  /// The ``unreadDatagrams`` of the socket that receives Hellos, if there is one.
  public internal(set) var unreadHellos: UInt64 = 0
  /// Datagrams that the socket accepted for sending; a super-datagram counts as one.
  public internal(set) var writes: UInt64 = 0
  /// Writes that were super-datagrams (GSO).
  public internal(set) var superDatagramsSent: UInt64 = 0
  /// Datagrams that were dropped because no socket was open, or the backlog was full.
  public internal(set) var unsentDatagrams: UInt64 = 0
  /// Errors of the socket, in sending or receiving.
  public internal(set) var sendErrors: UInt64 = 0
  /// Sockets that failed and were replaced by another on the same port.
  public internal(set) var socketsReplaced: UInt64 = 0
  /// Messages that were dropped because a session's reader was slow.
  public internal(set) var messagesDropped: UInt64 = 0
  /// Messages that were not sent because their session ended first.
  public internal(set) var messagesUnsent: UInt64 = 0
  /// Handshakes of peers that were refused because too many waited for a decision.
  public internal(set) var incomingRefused: UInt64 = 0
  /// Handshakes that continued without the ratchet; see ``UDPEndpoint/downgrades``.
  public internal(set) var downgrades: UInt64 = 0
  /// Re-keys of sessions that led to a new key.
  public internal(set) var rekeys: UInt64 = 0
  /// Peers that moved to another address during a session.
  public internal(set) var moves: UInt64 = 0
  /// Handshakes of peers that expired before a decision.
  public internal(set) var incomingExpired: UInt64 = 0
  /// Handshakes in ``incomingExpired`` that ``UDPEndpoint/incoming`` had not delivered: nothing
  /// reads it, or too slowly.
  public internal(set) var incomingUnread: UInt64 = 0
  /// Public-key work caused by strangers that was refused because too much was queued.
  public internal(set) var publicKeyWorkRefused: UInt64 = 0
  /// Processor time of public-key work caused by Hellos: reading and answering them, and reading
  /// X3. It counts against the ``/ZSSP/HelloBudget``.
  public internal(set) var timeOnHellos = Duration.zero
  /// Requests to the ratchet store that failed because too many were unanswered.
  public internal(set) var storeRequestsRefused: UInt64 = 0
  /// Requests to the ratchet store that failed because they were not answered within
  /// ``UDPOptions/storeTimeout``.
  public internal(set) var storeRequestsTimedOut: UInt64 = 0
  /// The answered requests to the ratchet store.
  public internal(set) var store = StoreStatistics()
  /// True if super-datagrams are sent (GSO).
  public internal(set) var isUsingSegmentationOffload = false
  /// True if super-datagrams are received (GRO).
  public internal(set) var isUsingReceiveOffload = false

  /// Sets the counters that sockets keep.
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

  /// Returns the sum of the counters of two shards. An offload is in use only if both use it.
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
    sum.rekeys += other.rekeys
    sum.moves += other.moves
    sum.store = store.adding(other.store)
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

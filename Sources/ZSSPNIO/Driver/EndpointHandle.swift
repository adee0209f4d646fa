// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// The tasks' reference to an endpoint: its shards, and what they share. The endpoint closes at
/// once when the last reference is released.
final class EndpointHandle: Sendable {
  let shards: [ShardHandle]
  let localAddress: SocketAddress
  let publicKey: PublicKey
  let largestMessage: Int
  let settings: Settings
  let options: UDPOptions
  let mailboxes: EndpointMailboxes
  let directory: PeerDirectory
  let environment: EndpointEnvironment
  /// Succeeds when all shards are closed; fails when a socket failed permanently.
  let closed: EventLoopFuture<Void>

  /// Makes a handle of an endpoint whose sockets are bound.
  init(
    _ shards: [ShardHandle], mailboxes: EndpointMailboxes, directory: PeerDirectory,
    environment: EndpointEnvironment = EndpointEnvironment(), localAddress: SocketAddress
  ) {
    self.shards = shards
    self.mailboxes = mailboxes
    self.directory = directory
    self.environment = environment
    self.localAddress = localAddress
    publicKey = shards[0].publicKey
    largestMessage = shards[0].largestMessage
    settings = shards[0].settings
    options = shards[0].options
    closed = EventLoopFuture.andAllSucceed(shards.map(\.closed), on: shards[0].eventLoop)
    for shard in shards {
      // A failure of one shard closes all. Otherwise they close together.
      shard.closed.whenFailure { [shards] _ in
        for other in shards { other.tell { driver in driver.close() } }
      }
    }
  }

  deinit {
    if !isClosed {
      for shard in shards { shard.tell { driver in driver.close() } }
    }
  }

  /// True after ``close()``.
  var isClosed: Bool { environment.closing.isRequested }

  /// The error that calls fail with once the endpoint closes; nil before.
  var closingError: UDPError? { environment.closing.error }

  /// Closes the endpoint. Later calls do nothing.
  func close() {
    guard environment.closing.close() else { return }
    for shard in shards { shard.tell { driver in driver.closeWhenSent() } }
  }

  /// Begins an attempt to establish a session on a shard, and waits for its outcome.
  func session(
    _ outcome: SessionOutcome, on shard: ShardHandle, as role: Role, begin: @escaping @Sendable (Driver) -> Void
  ) async throws(UDPError) -> Session {
    if let error = closingError { throw error }
    let start = shard.eventLoop.instant
    let span = HandshakeSpan(role)
    let result = await withTaskCancellationHandler {
      // The event loop may learn of the cancellation before the start. The outcome's state shows
      // it.
      shard.tell { driver in
        if !outcome.isResolved { begin(driver) }
      }
      return await outcome.value()
    } onCancel: {
      if outcome.resolve(.failure(.cancelled)) { shard.tell { driver in driver.abandon(outcome) } }
    }
    span.end(result)
    environment.record(
      HandshakeRecord(
        role: role, duration: start.duration(to: shard.eventLoop.instant),
        outcome: HandshakeStatistics.Outcome(result)))
    return Session(try result.get(), handle: self)
  }

  /// Returns true if a session with the peer is established.
  func hasSession(with peer: PublicKey) async -> Bool {
    for shard in shards {
      if await shard.ask({ driver in driver.endpoint.hasSession(with: peer) }) == true { return true }
    }
    return false
  }

  /// Returns the sum of all shards' counters; nil if an event loop has shut down.
  func statistics() async -> EndpointStatistics? {
    var sum: EndpointStatistics?
    for shard in shards {
      guard let statistics = await shard.ask({ driver in driver.statistics }) else { return nil }
      sum = sum?.adding(statistics) ?? statistics
    }
    sum?.handshakes = environment.handshakeCounts.withLockedValue { $0 }
    sum?.queues.incoming = mailboxes.incoming.count
    return sum
  }
}

/// The queues from the shards of an endpoint to its application.
struct EndpointMailboxes: Sendable {
  let incoming: BoundedAsyncQueue<IncomingOffer>
  let downgrades: BoundedAsyncQueue<Downgrade>

  init(_ options: UDPOptions) {
    incoming = BoundedAsyncQueue(.refuseNewest, countLimit: options.incomingBuffer)
    downgrades = BoundedAsyncQueue(.dropOldest, countLimit: options.downgradeBuffer)
  }

  func finish() {
    incoming.finish()
    downgrades.finish()
  }
}

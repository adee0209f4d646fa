// SPDX-License-Identifier: Apache-2.0

// [TIME-14]
/// A peer of the protocol that is driven from outside: without I/O, a clock, or threads.
///
/// Inputs are datagrams, the time, and answers to requests. Outputs are queues that the driver
/// empties after each input: datagrams (``outbox``), requests (``nextRequest()``) and events
/// (``nextEvent()``). Another output is ``nextDeadline``, the time at which the driver must call
/// ``advance(to:)``; calling it at these deadlines only is enough. An endpoint is used on one
/// thread at a time.
///
/// ```swift
/// func begin(
///   _ key: StaticKey, to peer: PublicKey, at address: Address, _ store: inout MemoryRatchetStore, now: Instant
/// ) throws -> Int {
///   var endpoint = try Endpoint(EndpointConfiguration(staticKey: key.agreementKey, provider: .swiftCrypto))
///   _ = try endpoint.open(to: peer, at: address, now: now)
///   while let request = endpoint.nextRequest() {
///     switch request {
///     case .store(let id, let question): endpoint.answer(id, store: store.answer(question), at: now)
///     case .work(let work): endpoint.complete(work.run(), at: now)
///     case .accept(let id, _): endpoint.answer(id, accept: .reject(silently: true), at: now)
///     }
///   }
///   return endpoint.outbox.count
/// }
/// ```
public struct Endpoint: ~Copyable {
  /// Datagrams to send. Send them, then call ``DatagramBatch/removeAll()``.
  public var outbox = DatagramBatch()
  /// Messages from ``receive(burst:segmentSize:from:at:)``. Process them, then empty the array and
  /// keep its capacity.
  public var inbox: [Delivery] = []

  let surroundings: Surroundings
  var journal: Journal
  var peers = PeerIndex()
  var keyIDs: KeyIDTable
  var pending: PendingOperations
  var timers = TimerQueue()
  var hellos: HelloAdmission
  var memory: SessionMemory

  /// Creates an endpoint without sessions. It draws 32 random bytes from the provider.
  ///
  /// - Throws: ``ConfigurationError`` if the settings are invalid.
  public init(_ configuration: EndpointConfiguration) throws(ConfigurationError) {
    try configuration.settings.validate()
    let settings = configuration.settings
    surroundings = Surroundings(
      configuration: configuration, directory: configuration.directory ?? PeerDirectory())
    pending = PendingOperations(node: settings.node)
    keyIDs = KeyIDTable(KeyIDPattern(settings))
    memory = SessionMemory(configuration)
    hellos = HelloAdmission(configuration, salt: configuration.provider.random(32))
    journal = Journal(trace: configuration.trace == nil ? nil : TraceLog())
  }

  /// The configuration of the endpoint.
  public var configuration: EndpointConfiguration { surroundings.configuration }
  /// Counters of received, sent and dropped datagrams and messages.
  public var statistics: Statistics { journal.statistics }

  var provider: any CryptoProvider { surroundings.configuration.provider }
  var settings: Settings { surroundings.configuration.settings }
  var trace: TraceLog? { journal.trace }

  /// The public part of the static key, by which peers know this endpoint.
  public var publicKey: PublicKey { configuration.staticKey.publicKey }
  /// The number of sessions, in any state.
  public var sessionCount: Int { peers.count }
  /// The number of half-open handshakes that peers have begun.
  public var halfOpenCount: Int { hellos.count }
  /// The number of Hellos that wait to be read.
  public var waitingHelloCount: Int { hellos.gate.waiting }

  // Not inlined: if Swift 6.3 inlined these into a driver's loop with optimisation, the access to
  // the endpoint would not end before the next iteration.

  /// Removes and returns the oldest request that was not returned yet; nil if there is none.
  @inline(never)
  public mutating func nextRequest() -> Request? { pending.next() }

  /// Removes and returns the oldest event that was not returned yet; nil if there is none.
  @inline(never)
  public mutating func nextEvent() -> Event? { journal.nextEvent() }

  /// Removes and returns the records of what happened since the last call; none unless
  /// the configuration has a ``EndpointConfiguration/trace``.
  package func takeTrace() -> [TraceRecord] { trace?.take(journal.statistics) ?? [] }

  /// The time at which ``advance(to:)`` must be called; nil if nothing is due.
  public var nextDeadline: Instant? {
    let next = min(protocolDeadline ?? .distantFuture, memory.keys.nextSweep)
    return next < .distantFuture ? next : nil
  }

  /// The ``nextDeadline`` without the eviction of expanded keys of idle sessions, which is not part
  /// of the protocol.
  package var protocolDeadline: Instant? {
    var next = timers.next ?? .distantFuture
    if let deadline = hellos.nextDeadline(hasRoom: hasRoomForHello) { next = min(next, deadline) }
    return next < .distantFuture ? next : nil
  }

  /// Returns a description of a session; nil after it has ended.
  public func session(_ id: SessionID) -> SessionDescription? {
    peers[id].map(SessionDescription.init)
  }

  /// Returns true if a session with the peer is established.
  package func hasSession(with peer: PublicKey) -> Bool { peers.sessions(with: peer).contains(where: \.canSend) }

  /// The condition that Hellos must meet, from now on.
  public var helloPolicy: HelloPolicy {
    get { hellos.gate.policy }
    set { hellos.gate.policy = newValue }
  }

  /// Replaces the session's key now instead of at its scheduled time.
  ///
  /// - Returns: true if a re-key begins. It does not begin while one is under way, before the
  ///   session is confirmed, or sooner after others than ``Settings/rekeyBurst`` and
  ///   ``Settings/rekeyRefill`` allow. The peer is expected to have the same limits.
  @discardableResult
  public mutating func rekey(_ id: SessionID, at now: Instant) -> Bool {
    // [DEC-37]
    guard let session = peers[id], session.mayRekey(settings, at: now) else { return false }
    beginRekey(session, at: now)
    return true
  }

  /// Probes the peer of a session now instead of after ``Settings/keepAlive``.
  /// ``Event/answered(_:roundTrip:)`` reports its answer. A session that is still opening sends
  /// nothing.
  public mutating func probe(_ id: SessionID, at now: Instant) {
    guard let session = peers[id] else { return }
    perform(session.probe(configuration, at: now), for: session, at: now)
  }

  /// Ends a session, and sends the peer a goodbye if the session is established. The goodbye is a
  /// single datagram, which may be lost. A peer that does not receive it notices when it needs an
  /// answer, or by ``Settings/idleTimeout``.
  public mutating func close(_ id: SessionID) {
    guard let session = peers[id] else { return }
    // [DEC-84]
    sendGoodbye(session)
    end(session, reason: .closed)
  }

  /// Ends a session as ``close(_:)`` does, with ``EndReason/peerSilent``: the driver has found that
  /// the peer does not answer.
  package mutating func abandon(_ id: SessionID) {
    guard let session = peers[id] else { return }
    sendGoodbye(session)
    end(session, reason: .peerSilent)
  }

  /// Ends a session because a newer one with its peer, in another shard, replaces it.
  public mutating func replace(_ id: SessionID) {
    guard let session = peers[id] else { return }
    end(session, reason: .replaced)
  }

  // [DEC-22]
  /// True if there are key ids for one more session or half-open handshake.
  var hasRoomForOwner: Bool { peers.count + hellos.count < keyIDs.ownerLimit }
}

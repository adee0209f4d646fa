// SPDX-License-Identifier: Apache-2.0

// [TIME-14]
/// A peer of the protocol, driven from outside: no I/O, no clock, no threads.
///
/// Inputs are datagrams, the time, and answers to requests. Outputs are queues that the driver empties after each
/// input: datagrams (``outbox``), requests (``nextRequest()``) and events (``nextEvent()``); and the next moment at which
/// ``advance(to:)`` wants to be called (``nextDeadline``). Calling it at deadlines only is enough.
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
  /// Datagrams that must go out. Send them, then call ``DatagramBatch/removeAll()``.
  public var outbox = DatagramBatch()
  /// Messages that ``receive(burst:segmentSize:from:at:)`` brought. Take them, then empty it, and keep its capacity.
  public var inbox: [Delivery] = []

  let surroundings: Surroundings
  var journal = Journal()
  var peers = PeerIndex()
  var keyIDs: KeyIDTable
  var pending: PendingOperations
  var timers = TimerQueue()
  var hellos: HelloAdmission
  var memory: SessionMemory

  /// An endpoint without sessions. It draws 32 random bytes.
  public init(_ configuration: EndpointConfiguration) throws(ConfigurationError) {
    try configuration.settings.validate()
    let settings = configuration.settings
    surroundings = Surroundings(
      configuration: configuration, directory: configuration.directory ?? PeerDirectory())
    pending = PendingOperations(node: settings.node)
    keyIDs = KeyIDTable(KeyIDPattern(settings))
    memory = SessionMemory(configuration)
    hellos = HelloAdmission(configuration, salt: configuration.provider.random(32))
  }

  /// What the endpoint was made with.
  public var configuration: EndpointConfiguration { surroundings.configuration }
  /// Counters of what came, went and was dropped.
  public var statistics: Statistics { journal.statistics }

  var provider: any CryptoProvider { surroundings.configuration.provider }
  var settings: Settings { surroundings.configuration.settings }

  /// The static key that peers know this endpoint by.
  public var publicKey: PublicKey { configuration.staticKey.publicKey }
  /// How many sessions there are, in any state.
  public var sessionCount: Int { peers.count }
  /// How many handshakes of others are half-open.
  public var halfOpenCount: Int { hellos.count }

  // Inlined into a driver's loop by Swift 6.3 with optimisation, the access to the endpoint would not end before the next turn.

  /// The next thing that this endpoint needs from outside, oldest first.
  @inline(never)
  public mutating func nextRequest() -> Request? { pending.next() }

  /// The next thing that happened, oldest first.
  @inline(never)
  public mutating func nextEvent() -> Event? { journal.nextEvent() }

  /// The moment at which ``advance(to:)`` has something to do; nil if there is none.
  public var nextDeadline: Instant? {
    let next = min(protocolDeadline ?? .distantFuture, memory.keys.nextSweep)
    return next < .distantFuture ? next : nil
  }

  /// As ``nextDeadline``, but for giving up keys of idle sessions, of which the protocol knows nothing.
  package var protocolDeadline: Instant? {
    var next = timers.next ?? .distantFuture
    if let deadline = hellos.nextDeadline(hasRoom: hasRoomForHello) { next = min(next, deadline) }
    return next < .distantFuture ? next : nil
  }

  /// What a session looks like from outside; nil once it has ended.
  public func session(_ id: SessionID) -> SessionDescription? {
    peers[id].map(SessionDescription.init)
  }

  /// What Hellos must bring, from now on.
  public var helloPolicy: HelloPolicy {
    get { hellos.gate.policy }
    set { hellos.gate.policy = newValue }
  }

  /// Replaces the session's key now instead of when its time has come.
  ///
  /// - Returns: whether a re-key begins. It does not while one is under way, before the session is
  ///   confirmed, or sooner after others than ``Settings/rekeyBurst`` and ``Settings/rekeyRefill``
  ///   allow, which the peer is expected to have, too.
  @discardableResult
  public mutating func rekey(_ id: SessionID, at now: Instant) -> Bool {
    // [DEC-37]
    guard let session = peers[id], session.mayRekey(settings, at: now) else { return false }
    beginRekey(session, at: now)
    return true
  }

  /// Probes the peer of a session now instead of after ``Settings/keepAlive``. ``Event/answered(_:roundTrip:)`` tells of its answer.
  /// A session that is being opened sends nothing.
  public mutating func probe(_ id: SessionID, at now: Instant) {
    guard let session = peers[id] else { return }
    perform(session.probe(configuration, at: now), for: session, at: now)
  }

  /// Ends a session here, and tells the peer if it is established: once, in a datagram that may get lost. A peer that does not learn
  /// of it finds out when it needs an answer, or by ``Settings/idleTimeout``.
  public mutating func close(_ id: SessionID) {
    guard let session = peers[id] else { return }
    // [DEC-84]
    sayGoodbye(session)
    end(session, .closed)
  }

  /// Ends a session because a newer one with its peer, in another shard, has taken its place.
  public mutating func replace(_ id: SessionID) {
    guard let session = peers[id] else { return }
    end(session, .replaced)
  }

  // [DEC-22]
  /// Whether there are key ids for one more session or half-open handshake.
  var hasRoomForOwner: Bool { peers.count + hellos.count < keyIDs.ownerLimit }
}

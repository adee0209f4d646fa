// SPDX-License-Identifier: Apache-2.0

/// A peer of the protocol, driven from outside: no I/O, no clock, no threads.
///
/// Inputs are datagrams, the time, and answers to requests. Outputs are queues that the driver empties after each
/// input: datagrams (``outbox``), requests (``nextRequest()``) and events (``nextEvent()``); and the next moment at which
/// ``advance(to:)`` wants to be called (``nextDeadline``). Calling it at deadlines only is enough.
///
/// ```swift
/// var endpoint = try Endpoint(EndpointConfiguration(staticKey: key, provider: .swiftCrypto))
/// let session = try endpoint.open(to: peer, at: address, now: clock.now)
/// while let request = endpoint.nextRequest() { … answer it … }
/// ```
public struct Endpoint: ~Copyable {
  /// What the endpoint was made with.
  public let configuration: EndpointConfiguration
  /// Datagrams that must go out. Send them, then call ``DatagramBatch/removeAll()``.
  public var outbox = DatagramBatch()
  /// Messages that ``receive(burst:segmentSize:from:at:)`` brought. Take them, then empty it, and keep its capacity.
  public var inbox: [Delivery] = []
  /// Counters of what came, went and was dropped.
  public internal(set) var statistics = Statistics()

  var sessions = SessionTable()
  var keyIDs: KeyIDTable
  let keyIDPattern: KeyIDPattern
  var timers = TimerQueue()
  var expandedKeys: ExpandedKeys
  /// The oldest first.
  var halfOpen: [HalfOpenHandshake] = []
  var hellos: HelloReassembly
  var events = Queue<Event>()
  var requests = Queue<Request>()
  var continuations: [RequestID: Continuation] = [:]
  private var lastRequest: RequestID
  /// Where a message is sealed that does not fit into one fragment.
  var scratch: [UInt8] = []
  /// What ``prefetch(_:)`` has read. Nobody looks at it.
  var prefetched: UInt64 = 0
  var gate: HelloGate
  var challenges: ChallengeIssuer
  /// The sessions with each peer: one, or an older one and those that would replace it.
  var peers: [PublicKey: [SessionID]] = [:]

  /// An endpoint without sessions. It draws 32 random bytes.
  public init(_ configuration: EndpointConfiguration) throws(ConfigurationError) {
    try configuration.settings.validate()
    self.configuration = configuration
    let settings = configuration.settings
    lastRequest = .first(ofNode: settings.node)
    keyIDPattern = KeyIDPattern(settings)
    expandedKeys = ExpandedKeys(
      limit: settings.expandedKeys ?? max(1, configuration.provider.usualExpandedKeys),
      timeout: settings.expandedKeyTimeout)
    keyIDs = KeyIDTable(shardBits: keyIDPattern.shardBits)
    hellos = HelloReassembly(
      limits: .init(packets: settings.helloLimit, fragments: settings.helloFragmentLimit),
      timeout: settings.reassemblyTimeout)
    let salt = configuration.provider.random(32)
    challenges = ChallengeIssuer(salt: salt)
    gate = HelloGate(
      policy: configuration.helloPolicy, isSilent: configuration.flags.contains(.helloRequiresRatchet), salt: salt)
  }

  var provider: any CryptoProvider { configuration.provider }
  var settings: Settings { configuration.settings }

  /// The static key that peers know this endpoint by.
  public var publicKey: PublicKey { configuration.staticKey.publicKey }
  /// How many sessions there are, in any state.
  public var sessionCount: Int { sessions.count }
  /// How many handshakes of others are half-open.
  public var halfOpenCount: Int { halfOpen.count }

  /// The next thing that this endpoint needs from outside, oldest first.
  public mutating func nextRequest() -> Request? { requests.pop() }

  /// The next thing that happened, oldest first.
  public mutating func nextEvent() -> Event? { events.pop() }

  /// The moment at which ``advance(to:)`` has something to do; nil if there is none.
  public var nextDeadline: Instant? {
    let next = min(protocolDeadline ?? .distantFuture, expandedKeys.nextSweep)
    return next < .distantFuture ? next : nil
  }

  /// As ``nextDeadline``, but for giving up keys of idle sessions, of which the protocol knows nothing.
  package var protocolDeadline: Instant? {
    guard let timer = timers.next else { return hellos.nextDeadline }
    return min(timer, hellos.nextDeadline ?? .distantFuture)
  }

  /// What a session looks like from outside; nil once it has ended.
  public func session(_ id: SessionID) -> SessionDescription? {
    sessions[id].map(SessionDescription.init)
  }

  /// What Hellos must bring, from now on.
  public var helloPolicy: HelloPolicy {
    get { gate.policy }
    set { gate.policy = newValue }
  }

  /// Replaces the session's key now instead of when its time has come.
  ///
  /// - Returns: whether a re-key begins. It does not while one is under way, or before the session is confirmed.
  @discardableResult
  public mutating func rekey(_ id: SessionID, at now: Instant) -> Bool {
    guard let session = sessions[id], case .s2 = session.state, session.pending == nil else { return false }
    beginRekey(session, at: now)
    schedule(session)
    return true
  }

  /// Ends a session here. The protocol has no message for it: the peer finds out when it needs an answer.
  public mutating func close(_ id: SessionID) {
    guard let session = sessions[id] else { return }
    end(session, .closed)
  }

  /// Ends a session because a newer one with its peer, in another shard, has taken its place.
  public mutating func replace(_ id: SessionID) {
    guard let session = sessions[id] else { return }
    end(session, .replaced)
  }

  mutating func makeRequestID() -> RequestID {
    lastRequest = RequestID(value: lastRequest.value + 1)
    return lastRequest
  }

  /// Whether there are key ids for one more session or half-open handshake.
  var hasRoomForOwner: Bool { sessions.count + halfOpen.count < keyIDPattern.ownerLimit }

  /// A random non-zero key id that is not in use (section 4), with the bits of the shard and the node. At most half of the ids
  /// are in use.
  mutating func drawKeyID() -> KeyID {
    while true {
      let keyID = keyIDPattern.keyID(provider.randomInteger(UInt32.self))
      if keyID != .none, !keyIDs.contains(keyID) { return keyID }
    }
  }

  mutating func drop(_ reason: DropReason) { statistics.count(reason) }
}

/// A session as seen from outside.
public struct SessionDescription: Sendable, Hashable {
  /// The state's name in the specification: A1, A3, S1, S2, R1 or R2.
  public let state: String
  /// The peer's static key.
  public let peer: PublicKey
  /// The side in the XK handshake.
  public let role: Role
  /// Where datagrams go.
  public let address: Address
  /// Whether data can be sent.
  public let isEstablished: Bool
  /// Why the handshake started anew the last time; nil if it never did.
  public let lastRestart: RestartReason?
  /// The chain length of the current key; 0 before there is one.
  public let chainLength: UInt64
  /// Counters of the session.
  public let statistics: SessionStatistics

  init(_ session: Session) {
    state = session.state.name
    peer = session.peer
    role = session.role
    address = session.address
    isEstablished = session.state.canSend
    lastRestart = session.lastRestart
    chainLength = session.currentKey?.chainLength ?? 0
    statistics = session.statistics
  }
}

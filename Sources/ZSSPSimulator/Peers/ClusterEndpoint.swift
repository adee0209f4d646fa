// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Several endpoints with one static key and one store that act as one. Subclasses decide which one
/// gets a datagram.
///
/// A request's id contains the number of its endpoint as the node in its highest bits.
class ClusterEndpoint: SimulatedEndpoint {
  /// The number of bits in key ids for the endpoint's number.
  static let bits = 4

  let nodes: [ZSSPEndpoint]
  /// The peers of sessions, by the cluster's session numbers.
  private(set) var peers: [Int: PublicKey] = [:]

  /// Makes 2 to 16 endpoints, each with its number as node, and with settings that `configure`
  /// changes.
  ///
  /// - Throws: `ConfigurationError`.
  init(
    _ environment: SimulatedEnvironment, count: Int, configure: (inout EndpointConfiguration, Int) -> Void
  ) throws(ConfigurationError) {
    var nodes: [ZSSPEndpoint] = []
    for number in 0..<count {
      var configuration = environment.configuration
      configuration.settings.nodeBits = Self.bits
      configuration.settings.node = number
      configure(&configuration, number)
      nodes.append(
        try ZSSPEndpoint(
          SimulatedEnvironment(configuration: configuration, store: environment.store, accept: environment.accept)))
    }
    self.nodes = nodes
  }

  // MARK: What subclasses decide

  /// Returns the endpoint that a datagram is for.
  func addressee(of datagram: [UInt8], from source: Address, at now: Instant) -> Int { 0 }

  /// Returns the endpoint that opens a session.
  func opener(to peer: PublicKey, at address: Address, now: Instant) -> Int { 0 }

  /// Called when a session is established. The endpoint's other sessions with the peer must be
  /// replaced.
  func established(_ session: Int, with peer: PublicKey) {}

  /// Called when a session has ended.
  func ended(_ session: Int, with peer: PublicKey?) {}

  // MARK: Numbers

  /// Returns the cluster's number for a session of an endpoint.
  final func number(_ session: Int, of node: Int) -> Int { session * nodes.count + node }

  /// Returns the number of the endpoint that owns a session.
  final func owner(of session: Int) -> Int { session % nodes.count }

  /// Returns that endpoint's number for the session.
  final func local(_ session: Int) -> Int { session / nodes.count }

  final func node(of session: Int) -> ZSSPEndpoint { nodes[owner(of: session)] }

  // MARK: An endpoint like any other

  final var actsAtOnce: Bool { false }
  final var nextDeadline: Instant? { nodes.compactMap(\.nextDeadline).min() }

  final var holdings: SimulatedHoldings {
    let held = nodes.map(\.holdings)
    func sum(_ part: (SimulatedHoldings) -> Int) -> Int { held.map(part).reduce(0, +) }
    return SimulatedHoldings(
      sessions: sum(\.sessions), halfOpen: sum(\.halfOpen), incompleteHellos: sum(\.incompleteHellos),
      keyIDs: sum(\.keyIDs), timers: sum(\.timers), requests: sum(\.requests), reassemblyBytes: sum(\.reassemblyBytes),
      largestReassembly: held.map(\.largestReassembly).max() ?? 0)
  }

  final var traffic: SimulatedTraffic {
    nodes.map(\.traffic).reduce(into: SimulatedTraffic()) { sum, one in
      sum.datagramsSent += one.datagramsSent
      sum.datagramsReceived += one.datagramsReceived
      sum.publicKeyWork += one.publicKeyWork
      sum.drops.merge(one.drops, uniquingKeysWith: +)
    }
  }

  final func receive(_ datagram: [UInt8], from source: Address, at now: Instant) -> SimulatedReception {
    let index = addressee(of: datagram, from: source, at: now)
    let reception = nodes[index].receive(datagram, from: source, at: now)
    guard case .message(let session, let message) = reception else { return reception }
    return .message(number(session, of: index), message)
  }

  final func advance(to now: Instant) { for node in nodes { node.advance(to: now) } }

  final func open(
    to peer: PublicKey, at address: Address, identity: [UInt8], flags: SecurityFlags?, now: Instant
  ) -> Int? {
    let index = opener(to: peer, at: address, now: now)
    guard let session = nodes[index].open(to: peer, at: address, identity: identity, flags: flags, now: now) else {
      return nil
    }
    let number = number(session, of: index)
    peers[number] = peer
    return number
  }

  final func send(_ message: [UInt8], on session: Int, at now: Instant) throws {
    try node(of: session).send(message, on: local(session), at: now)
  }

  final func rekey(_ session: Int, at now: Instant) { node(of: session).rekey(local(session), at: now) }
  final func close(_ session: Int) { node(of: session).close(local(session)) }
  final func session(_ number: Int) -> SimulatedSession? { node(of: number).session(local(number)) }
  final func keyMark(_ session: Int) -> KeyMark? { node(of: session).keyMark(local(session)) }
  final func handshakeMark(_ session: Int) -> HandshakeMark? { node(of: session).handshakeMark(local(session)) }
  final func localKeyID(_ session: Int) -> KeyID? { node(of: session).localKeyID(local(session)) }

  final func takeEvents() -> [SimulatedEvent] {
    var events: [SimulatedEvent] = []
    // An event of one endpoint can end sessions of others, which then report that.
    while true {
      let more = nodes.indices.flatMap { index in
        nodes[index].takeEvents().map { $0.renumbered { number($0, of: index) } }
      }
      if more.isEmpty { return events }
      for event in more { recordSessions(event) }
      events += more
    }
  }

  /// Records sessions by events, and informs subclasses.
  private func recordSessions(_ event: SimulatedEvent) {
    switch event {
    case .established(let session, let peer, _, _, _):
      peers[session] = peer
      established(session, with: peer)
    case .ended(let session, _): ended(session, with: peers.removeValue(forKey: session))
    default: break
    }
  }

  final func takeDatagrams() -> [(address: Address, bytes: [UInt8])] { nodes.flatMap { $0.takeDatagrams() } }

  final func takeTrace() -> [(node: Int, record: TraceRecord)] {
    nodes.enumerated().flatMap { index, node in node.takeTrace().map { (index, $0.record) } }
  }

  final func nextRequest() -> Request? {
    for node in nodes { if let request = node.nextRequest() { return request } }
    return nil
  }

  final func answer(_ id: RequestID, store answer: StoreAnswer, at now: Instant) {
    nodes[id.node].answer(id, store: answer, at: now)
  }

  final func answer(_ id: RequestID, accept decision: AcceptDecision, at now: Instant) {
    nodes[id.node].answer(id, accept: decision, at: now)
  }

  final func cancelAccept(_ id: RequestID) -> Bool { nodes[id.node].cancelAccept(id) }

  final func complete(_ result: PublicKeyResult, at now: Instant) {
    nodes[result.id.node].complete(result, at: now)
  }

  final func refuse(_ id: RequestID) { nodes[id.node].refuse(id) }
}

extension SimulatedEvent {
  /// Returns the event with another session number.
  fileprivate func renumbered(_ number: (Int) -> Int) -> SimulatedEvent {
    switch self {
    case .established(let id, let peer, let role, let length, let acceptance):
      .established(number(id), peer: peer, role, chainLength: length, acceptance: acceptance)
    case .confirmed(let id): .confirmed(number(id))
    case .restarted(let id, let reason): .restarted(number(id), reason)
    case .downgraded(let id, let peer, let length): .downgraded(number(id), peer: peer, heldChainLength: length)
    case .rekeyed(let id, let length): .rekeyed(number(id), chainLength: length)
    case .answered(let id): .answered(number(id))
    case .moved(let id): .moved(number(id))
    case .ended(let id, let reason): .ended(number(id), reason)
    case .withdrawn: self
    }
  }
}

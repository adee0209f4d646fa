// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Several endpoints with one static key and one store in the place of one, as behind a load balancer.
///
/// What belongs to a session goes to the endpoint whose number its key id has. Everything else goes by its source, and every few
/// seconds otherwise than before: so a peer's attempts come to different endpoints while those before are still under way.
/// Endpoints share nothing but the store. They are told when a peer has a newer session at another one, for an application
/// has one session with a peer.
final class FleetEndpoint: SimulatedEndpoint {
  /// How long a source goes to the same endpoint, in nanoseconds.
  private static let constancy: Int64 = 7_000_000_000
  /// Bits of key ids that have the number of the endpoint.
  private static let bits = 4

  private let nodes: [ZSSPEndpoint]
  /// The peers of sessions, by the fleet's numbers for them.
  private var peers: [Int: PublicKey] = [:]

  /// `count` endpoints, 2 to 16.
  init(_ environment: SimulatedEnvironment, _ count: Int) throws(ConfigurationError) {
    var nodes: [ZSSPEndpoint] = []
    for number in 0..<count {
      var configuration = environment.configuration
      (configuration.settings.nodeBits, configuration.settings.node) = (Self.bits, number)
      nodes.append(
        try ZSSPEndpoint(
          SimulatedEnvironment(configuration: configuration, store: environment.store, accept: environment.accept)))
    }
    self.nodes = nodes
  }

  // MARK: Who is meant

  /// The fleet's number for a session of an endpoint.
  private func number(_ session: Int, of node: Int) -> Int { session * nodes.count + node }

  /// The endpoint that has a session.
  private func node(of session: Int) -> ZSSPEndpoint { nodes[session % nodes.count] }

  /// What that endpoint calls the session.
  private func local(_ session: Int) -> Int { session / nodes.count }

  /// The endpoint for someone who has no session.
  private func choose(_ name: UInt64, at now: Instant) -> Int {
    let spell = UInt64(bitPattern: now.nanoseconds / Self.constancy)
    return Int(SimulationRandom.mix(SimulationRandom.mix(name) &+ spell) % UInt64(nodes.count))
  }

  private func addressee(of datagram: [UInt8], from source: Address, at now: Instant) -> Int {
    let keyID = KeyID(addressee: datagram.rawBytes)?.value ?? 0
    let number = Int(keyID >> (32 - UInt32(Self.bits)))
    guard keyID == 0 || number >= nodes.count else { return number }
    return choose(source.low &* 65_537 &+ UInt64(source.port), at: now)
  }

  // MARK: An endpoint like any other

  var actsAtOnce: Bool { false }
  var nextDeadline: Instant? { nodes.compactMap(\.nextDeadline).min() }

  var holdings: SimulatedHoldings {
    let held = nodes.map(\.holdings)
    func sum(_ part: (SimulatedHoldings) -> Int) -> Int { held.map(part).reduce(0, +) }
    return SimulatedHoldings(
      sessions: sum(\.sessions), halfOpen: sum(\.halfOpen), incompleteHellos: sum(\.incompleteHellos),
      keyIDs: sum(\.keyIDs), timers: sum(\.timers), requests: sum(\.requests), reassemblyBytes: sum(\.reassemblyBytes),
      largestReassembly: held.map(\.largestReassembly).max() ?? 0)
  }

  var traffic: SimulatedTraffic {
    nodes.map(\.traffic).reduce(into: SimulatedTraffic()) { sum, one in
      sum.datagramsSent += one.datagramsSent
      sum.datagramsReceived += one.datagramsReceived
      sum.publicKeyWork += one.publicKeyWork
      sum.drops.merge(one.drops, uniquingKeysWith: +)
    }
  }

  func receive(_ datagram: [UInt8], from source: Address, at now: Instant) -> SimulatedReception {
    let index = addressee(of: datagram, from: source, at: now)
    let reception = nodes[index].receive(datagram, from: source, at: now)
    guard case .message(let session, let message) = reception else { return reception }
    return .message(number(session, of: index), message)
  }

  func advance(to now: Instant) { for node in nodes { node.advance(to: now) } }

  func open(
    to peer: PublicKey, at address: Address, identity: [UInt8], flags: SecurityFlags?, now: Instant
  ) -> Int? {
    let index = choose(address.low, at: now)
    guard let session = nodes[index].open(to: peer, at: address, identity: identity, flags: flags, now: now) else {
      return nil
    }
    let number = number(session, of: index)
    peers[number] = peer
    return number
  }

  func send(_ message: [UInt8], on session: Int, at now: Instant) throws {
    try node(of: session).send(message, on: local(session), at: now)
  }

  func rekey(_ session: Int, at now: Instant) { node(of: session).rekey(local(session), at: now) }
  func close(_ session: Int) { node(of: session).close(local(session)) }
  func session(_ number: Int) -> SimulatedSession? { node(of: number).session(local(number)) }
  func keyMark(_ session: Int) -> KeyMark? { node(of: session).keyMark(local(session)) }

  func takeEvents() -> [SimulatedEvent] {
    var events: [SimulatedEvent] = []
    // What one endpoint reports can end sessions of others, which they then report.
    while true {
      let more = nodes.indices.flatMap { index in
        nodes[index].takeEvents().map { $0.renumbered { number($0, of: index) } }
      }
      if more.isEmpty { return events }
      for event in more { noteSessions(event) }
      events += more
    }
  }

  private func noteSessions(_ event: SimulatedEvent) {
    switch event {
    case .established(let session, let peer, _, _):
      for (other, itsPeer) in peers where itsPeer == peer && other % nodes.count != session % nodes.count {
        node(of: other).replace(local(other))
      }
      peers[session] = peer
    case .ended(let session, _): peers[session] = nil
    default: break
    }
  }

  func takeDatagrams() -> [(address: Address, bytes: [UInt8])] { nodes.flatMap { $0.takeDatagrams() } }

  func nextRequest() -> Request? {
    for node in nodes { if let request = node.nextRequest() { return request } }
    return nil
  }

  func answer(_ id: RequestID, store answer: StoreAnswer, at now: Instant) {
    nodes[id.node].answer(id, store: answer, at: now)
  }

  func answer(_ id: RequestID, accept decision: AcceptDecision, at now: Instant) {
    nodes[id.node].answer(id, accept: decision, at: now)
  }

  func complete(_ result: PublicKeyResult, at now: Instant) { nodes[result.id.node].complete(result, at: now) }
  func refuse(_ id: RequestID) { nodes[id.node].refuse(id) }
}

extension SimulatedEvent {
  /// The event with another number for its session.
  fileprivate func renumbered(_ number: (Int) -> Int) -> SimulatedEvent {
    switch self {
    case .established(let id, let peer, let role, let length):
      .established(number(id), peer: peer, role, chainLength: length)
    case .confirmed(let id): .confirmed(number(id))
    case .restarted(let id, let reason): .restarted(number(id), reason)
    case .downgraded(let id, let peer, let length): .downgraded(number(id), peer: peer, heldChainLength: length)
    case .rekeyed(let id, let length): .rekeyed(number(id), chainLength: length)
    case .moved(let id): .moved(number(id))
    case .ended(let id, let reason): .ended(number(id), reason)
    case .withdrawn: self
    }
  }
}

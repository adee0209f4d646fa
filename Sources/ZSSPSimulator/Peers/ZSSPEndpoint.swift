// SPDX-License-Identifier: Apache-2.0
package import ZSSP

/// ZSSP as the endpoint of a simulated peer.
package final class ZSSPEndpoint: SimulatedEndpoint {
  private var endpoint: Endpoint
  private var ids: [Int: SessionID] = [:]
  private var numbers: [SessionID: Int] = [:]
  private var lastNumber = 0

  package init(_ environment: SimulatedEnvironment) throws(ConfigurationError) {
    endpoint = try Endpoint(environment.configuration)
  }

  package var actsAtOnce: Bool { false }
  package var nextDeadline: Instant? { endpoint.nextDeadline }

  package var holdings: SimulatedHoldings {
    let held = endpoint.diagnostics
    return SimulatedHoldings(
      sessions: held.sessions, halfOpen: held.halfOpen, incompleteHellos: held.incompleteHellos, keyIDs: held.keyIDs,
      timers: held.timers, requests: held.requests, reassemblyBytes: held.reassemblyBytes,
      largestReassembly: held.largestReassembly)
  }

  /// The endpoint's memory.
  package var diagnostics: Diagnostics { endpoint.diagnostics }
  /// The endpoint's counters.
  package var statistics: Statistics { endpoint.statistics }
  /// The endpoint's policy for Hellos.
  package var helloPolicy: HelloPolicy {
    get { endpoint.helloPolicy }
    set { endpoint.helloPolicy = newValue }
  }

  package var traffic: SimulatedTraffic {
    let statistics = endpoint.statistics
    var traffic = SimulatedTraffic()
    traffic.datagramsSent = statistics.datagramsSent
    traffic.datagramsReceived = statistics.datagramsReceived
    traffic.publicKeyWork = statistics.publicKeyWork
    for reason in DropReason.allCases where statistics[reason] > 0 { traffic.drops["\(reason)"] = statistics[reason] }
    return traffic
  }

  private func number(_ id: SessionID) -> Int {
    if let number = numbers[id] { return number }
    lastNumber += 1
    numbers[id] = lastNumber
    ids[lastNumber] = id
    return lastNumber
  }

  package func receive(_ datagram: [UInt8], from source: Address, at now: Instant) -> SimulatedReception {
    var datagram = datagram
    switch datagram.withMutableBytes({ endpoint.receive(&$0, from: source, at: now) }) {
    case .message(let id, let range): return .message(number(id), Array(datagram[range]))
    case .assembled(let id, let message): return .message(number(id), message)
    case .handled: return .handled
    case .dropped(let reason): return .dropped("\(reason)")
    }
  }

  package func advance(to now: Instant) { endpoint.advance(to: now) }

  package func open(
    to peer: PublicKey, at address: Address, identity: [UInt8], flags: SecurityFlags?, now: Instant
  ) -> Int? {
    (try? endpoint.open(to: peer, at: address, identity: identity, flags: flags, now: now)).map(number)
  }

  package func send(_ message: [UInt8], on session: Int, at now: Instant) throws {
    guard let id = ids[session] else { throw SendError.unknownSession }
    try endpoint.send(message.rawBytes, on: id, at: now)
  }

  package func rekey(_ session: Int, at now: Instant) {
    if let id = ids[session] { endpoint.rekey(id, at: now) }
  }

  /// Called when the peer has a newer session elsewhere.
  func replace(_ session: Int) {
    if let id = ids[session] { endpoint.replace(id) }
  }

  /// Replaces a session by the endpoint's own id.
  func replace(_ id: SessionID) { endpoint.replace(id) }

  /// Returns the endpoint's own id of a session; nil once it has ended.
  func id(of session: Int) -> SessionID? { ids[session] }

  package func close(_ session: Int) {
    if let id = ids[session] { endpoint.close(id) }
  }

  package func session(_ number: Int) -> SimulatedSession? {
    guard let id = ids[number], let session = endpoint.session(id), let timers = endpoint.stateTimers(id) else {
      return nil
    }
    return SimulatedSession(
      state: session.state, address: session.address, isEstablished: session.isEstablished,
      chainLength: session.chainLength, stateDeadline: timers.state, resendDeadline: timers.resend)
  }

  package func keyMark(_ session: Int) -> KeyMark? { ids[session].flatMap { endpoint.keyMark($0) } }

  package func handshakeMark(_ session: Int) -> HandshakeMark? { ids[session].flatMap { endpoint.handshakeMark($0) } }
  package func localKeyID(_ session: Int) -> KeyID? { ids[session].flatMap { endpoint.localKeyID($0) } }

  package func takeEvents() -> [SimulatedEvent] {
    var events: [SimulatedEvent] = []
    while let event = endpoint.nextEvent() { events.append(translate(event)) }
    return events
  }

  private func translate(_ event: Event) -> SimulatedEvent {
    switch event {
    case .established(let id, let info):
      return .established(
        number(id), peer: info.peer, info.role, chainLength: info.chainLength, acceptance: info.acceptance)
    case .confirmed(let id): return .confirmed(number(id))
    case .restarted(let id, let reason): return .restarted(number(id), reason.rawValue)
    case .downgraded(let id, let peer, let length):
      return .downgraded(number(id), peer: peer, heldChainLength: length)
    case .rekeyed(let id, let length): return .rekeyed(number(id), chainLength: length)
    case .answered(let id, _): return .answered(number(id))
    case .moved(let id, _, _): return .moved(number(id))
    case .ended(let id, let reason):
      let number = number(id)
      numbers[id] = nil
      ids[number] = nil
      return .ended(number, reason.rawValue)
    case .withdrawn(_, let reason): return .withdrawn("\(reason)")
    }
  }

  package func takeDatagrams() -> [(address: Address, bytes: [UInt8])] {
    guard !endpoint.outbox.isEmpty else { return [] }
    var datagrams: [(address: Address, bytes: [UInt8])] = []
    for run in endpoint.outbox.runs {
      var start = run.range.lowerBound
      while start < run.range.upperBound {
        let end = min(start + run.segmentSize, run.range.upperBound)
        datagrams.append((run.address, endpoint.outbox.bytes.extracting(start..<end).array))
        start = end
      }
    }
    endpoint.outbox.removeAll()
    return datagrams
  }

  package func takeTrace() -> [(node: Int, record: TraceRecord)] { endpoint.takeTrace().map { (0, $0) } }

  package func nextRequest() -> Request? { endpoint.nextRequest() }
  package func answer(_ id: RequestID, store answer: StoreAnswer, at now: Instant) {
    endpoint.answer(id, store: answer, at: now)
  }
  package func answer(_ id: RequestID, accept decision: AcceptDecision, at now: Instant) {
    endpoint.answer(id, accept: decision, at: now)
  }
  package func cancelAccept(_ id: RequestID) -> Bool { endpoint.cancelAccept(id) }
  package func complete(_ result: PublicKeyResult, at now: Instant) { endpoint.complete(result, at: now) }
  package func refuse(_ id: RequestID) { endpoint.refuse(id) }
}

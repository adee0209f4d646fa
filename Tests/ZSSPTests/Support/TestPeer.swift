// SPDX-License-Identifier: Apache-2.0

@testable import ZSSP

/// A datagram on its way.
struct Datagram: Sendable {
  let from: Address
  let to: Address
  var bytes: [UInt8]
}

/// An endpoint with everything that drives it: a store in memory, an application that decides, and
/// work done at once.
final class TestPeer {
  let address: Address
  private var endpoint: Endpoint
  let configuration: EndpointConfiguration
  var store: MemoryRatchetStore
  /// Returns the application's decision about others; nil leaves the request in ``undecided``.
  var decide: (AcceptRequest) -> AcceptDecision? = { _ in .accept(.opportunistic) }
  /// Accept requests that were not answered.
  private(set) var undecided: [(id: RequestID, request: AcceptRequest)] = []
  /// Answers store requests; nil leaves the request in ``unanswered``.
  var answerStore: ((StoreRequest) -> StoreAnswer?)?
  /// Store requests that were not answered.
  private(set) var unanswered: [(id: RequestID, request: StoreRequest)] = []
  /// True if every answer of the store is given twice.
  var repeatsAnswers = false
  /// Returns true if the driver is too busy for an item of work.
  var isTooBusy: (PublicKeyWork.Kind) -> Bool = { _ in false }
  /// Loses items of work: they are never answered.
  var losesWork = false
  /// Returns the time that the driver reports for an item of work.
  var timeOfWork: (PublicKeyWork.Kind) -> Duration? = { _ in nil }
  private(set) var events: [Event] = []
  /// The number of downgrades that were reported before the last restart.
  private var earlierDowngrades = 0
  private(set) var messages: [(session: SessionID, bytes: [UInt8])] = []
  /// The fates of datagrams, for comparison with the endpoint's own counters.
  struct Fates {
    var handled = 0
    var dropped = 0
    /// Half-open handshakes, and incomplete packets, that made room for a newer one as it came.
    var evicted: UInt64 = 0
    /// The number of drops after work, an answer or a timer.
    var droppedLater: UInt64 = 0
    /// Datagrams whose fate was not counted once, under the reason that was given.
    var miscounted = 0
  }
  private(set) var fates = Fates()

  init(_ configuration: EndpointConfiguration, at address: Address, store: MemoryRatchetStore = .init()) throws {
    self.address = address
    self.configuration = configuration
    self.store = store
    endpoint = try Endpoint(configuration)
  }

  var publicKey: PublicKey { endpoint.publicKey }
  var nextDeadline: Instant? { endpoint.nextDeadline }

  func open(to peer: TestPeer, identity: [UInt8] = [], flags: SecurityFlags? = nil, at now: Instant) throws -> SessionID
  {
    try endpoint.open(to: peer.publicKey, at: peer.address, identity: identity, flags: flags, now: now)
  }

  func send(_ message: [UInt8], on session: SessionID, at now: Instant) throws {
    try endpoint.send(message.rawBytes, on: session, at: now)
  }

  func close(_ session: SessionID) { endpoint.close(session) }
  func takeTrace() -> [TraceRecord] { endpoint.takeTrace() }
  func localIndexesInUse() -> [Bool] { endpoint.localIndexesInUse() }
  /// The datagram of a D under the previous key, as whoever has stolen that key makes it; nil where
  /// there is none.
  func goodbyeUnderPreviousKey(_ session: SessionID) -> [UInt8]? {
    let provider = configuration.provider
    guard let session = endpoint.peers[session], let key = session.core.keys.other,
      let headerKey = session.core.keys.headerSendingKey(provider)
    else { return nil }
    let header = FragmentHeader(
      keyID: key.remoteID, number: 0, count: 1, type: .rejected, counter: session.core.keys.counter)
    var bytes = [UInt8](repeating: 0, count: FragmentHeader.size + PacketSize.tag)
    bytes.withMutableBytes { datagram in
      header.write(to: &datagram)
      var tag = datagram.slice(FragmentHeader.size..<FragmentHeader.size + PacketSize.tag)
      key.makeExchangeSendingKey(provider)
        .seal([UInt8]().rawBytes, nonce: header.nonce, authenticating: RawSpan(), into: &tag)
      var block = datagram.slice(FragmentHeader.protectedBytes)
      headerKey.encrypt(&block)
    }
    return bytes
  }
  func probe(_ session: SessionID, at now: Instant) { endpoint.probe(session, at: now) }

  /// Removes the limit of this side's re-keys of a session, as if the peer had none.
  func forgetPace(_ session: SessionID) { endpoint.peers[session]?.forgetPace() }

  /// True if the count of bytes of incomplete packets is right.
  var countsReassemblyRight: Bool {
    let ofSessions = endpoint.peers.sessions.all.reduce(0) { $0 + $1.reassembly.bytes }
    return endpoint.memory.packets.bytes == endpoint.hellos.handshakes.reduce(ofSessions) { $0 + $1.reassembly.bytes }
  }

  func prefetch(_ sessions: [SessionID]) { endpoint.prefetch(sessions.span) }

  /// Answers a store request after all.
  func answer(_ id: RequestID, _ answer: StoreAnswer, at now: Instant) { endpoint.answer(id, store: answer, at: now) }

  /// Answers an accept request after all.
  func answer(_ id: RequestID, _ decision: AcceptDecision, at now: Instant) {
    endpoint.answer(id, accept: decision, at: now)
  }

  func cancelAccept(_ id: RequestID) -> Bool { endpoint.cancelAccept(id) }

  /// The next packet of the session gets this counter, as if those between had been sent and lost.
  func skipCounters(_ session: SessionID, to counter: UInt64) { endpoint.peers[session]?.skipCounters(to: counter) }
  /// The counter of the next packet.
  func nextCounter(_ session: SessionID) -> UInt64? { endpoint.peers[session]?.core.keys.counter }

  func state(_ session: SessionID) -> String? { endpoint.session(session)?.state }
  func chainLength(_ session: SessionID) -> UInt64? { endpoint.session(session)?.chainLength }
  var statistics: Statistics { endpoint.statistics }
  var sessionCount: Int { endpoint.sessionCount }
  func sessions(with peer: PublicKey) -> [SessionID] { endpoint.peers.ids(of: peer) }
  var halfOpenCount: Int { endpoint.halfOpenCount }
  var diagnostics: Diagnostics { endpoint.diagnostics }
  func description(_ session: SessionID) -> SessionDescription? { endpoint.session(session) }
  /// Returns the end of the session's state, and the next resend of its packet.
  func timers(_ session: SessionID) -> [Instant]? { endpoint.stateTimers(session).map { [$0.state, $0.resend] } }
  var helloPolicy: HelloPolicy {
    get { endpoint.helloPolicy }
    set { endpoint.helloPolicy = newValue }
  }
  func peerAddress(_ session: SessionID) -> Address? { endpoint.session(session)?.address }
  func stateTimers(_ session: SessionID) -> (state: Instant, resend: Instant)? { endpoint.stateTimers(session) }

  @discardableResult
  func receive(_ bytes: [UInt8], from source: Address, at now: Instant) -> ReceiveResult {
    var bytes = bytes
    let before = endpoint.statistics
    let reception = bytes.withMutableBytes { endpoint.receive(&$0, from: source, at: now) }
    switch reception {
    case .message(let session, let range): messages.append((session, Array(bytes[range])))
    case .assembled(let session, let message): messages.append((session, message))
    case .handled: fates.handled += 1
    case .dropped: fates.dropped += 1
    }
    audit(reception, since: before)
    return reception
  }

  /// Compares the endpoint's counters with what it said of a datagram.
  private func audit(_ reception: ReceiveResult, since before: Statistics) {
    let after = endpoint.statistics
    let counted = after.dropped - before.dropped
    let evicted = [DropReason.evicted, .reassemblyEvicted].reduce(0) { $0 + after[$1] - before[$1] }
    fates.evicted += evicted
    var expected = evicted
    if case .dropped(let reason) = reception {
      expected += 1
      if after[reason] != before[reason] + 1 { fates.miscounted += 1 }
    }
    if counted != expected || after.datagramsReceived != before.datagramsReceived + 1 { fates.miscounted += 1 }
  }

  /// Counts what is dropped in `body` as dropped later, not on arrival.
  private func auditLater(_ body: () -> Void) {
    let before = endpoint.statistics.dropped
    body()
    fates.droppedLater += endpoint.statistics.dropped - before
  }

  func advance(to now: Instant) { auditLater { endpoint.advance(to: now) } }

  /// Answers all requests and takes what goes out.
  func pump(at now: Instant) -> [Datagram] {
    auditLater { answerRequests(at: now) }
    while let event = endpoint.nextEvent() { events.append(event) }
    return takeOutbox()
  }

  private func answerRequests(at now: Instant) {
    while let request = endpoint.nextRequest() {
      switch request {
      case .store(let id, let request):
        let answer = answerStore.map { $0(request) } ?? store.answer(request)
        guard let answer else {
          unanswered.append((id, request))
          continue
        }
        endpoint.answer(id, store: answer, at: now)
        if repeatsAnswers { endpoint.answer(id, store: answer, at: now) }
      case .accept(let id, let request):
        guard let decision = decide(request) else {
          undecided.append((id, request))
          continue
        }
        endpoint.answer(id, accept: decision, at: now)
      case .work(let work):
        if losesWork { continue }
        if isTooBusy(work.kind) {
          endpoint.refuse(work.id)
        } else {
          endpoint.complete(work.run(), took: timeOfWork(work.kind), at: now)
        }
      }
    }
  }

  private func takeOutbox() -> [Datagram] {
    var datagrams: [Datagram] = []
    for run in endpoint.outbox.runs {
      var start = run.range.lowerBound
      while start < run.range.upperBound {
        let end = min(start + run.segmentSize, run.range.upperBound)
        let bytes = endpoint.outbox.bytes.extracting(start..<end).array
        datagrams.append(Datagram(from: address, to: run.address, bytes: bytes))
        start = end
      }
    }
    endpoint.outbox.removeAll()
    return datagrams
  }

  /// Forgets all but the store, as a process that was killed and started again.
  func restart() throws {
    endpoint = try Endpoint(configuration)
    earlierDowngrades = downgrades
    events = []
    fates = Fates()
    messages = []
  }

  func rekey(_ session: SessionID, at now: Instant) -> Bool { endpoint.rekey(session, at: now) }

  /// The reasons why sessions ended, in order.
  var endReasons: [EndReason] { events.compactMap { if case .ended(_, let reason) = $0 { reason } else { nil } } }
  /// The number of downgrades that were reported, before and after restarts.
  var downgrades: Int { earlierDowngrades + events.count { if case .downgraded = $0 { true } else { false } } }

  /// The session that an `established` event named last.
  var establishedSession: SessionID? {
    events.reversed().lazy.compactMap { if case .established(let id, _) = $0 { id } else { nil } }.first
  }
}

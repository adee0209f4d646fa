// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// A network of endpoints in virtual time, in which every event follows from one seed.
///
/// ```swift
/// func simulate() throws -> SimulationReport { try Simulation(SimulationPlan(), seed: 1).run() }
/// ```
///
/// A run alternates between turbulence and calm (see ``SimulationPlan``). It throws a ``Violation``
/// at the first step after which a promise of the protocol does not hold. The same plan, seed and
/// provider reproduce the run.
public final class Simulation {
  /// Manipulations that deceive the invariants, for their own tests.
  public struct Hooks {
    /// Changes a message between the endpoint and the application.
    public var tamper: ((inout [UInt8]) -> Void)?
    /// Returns true to forget a swap that the store confirms.
    public var forgets: (() -> Bool)?
    /// The number of times that each message is delivered.
    public var deliveries = 1
    /// Changes the observed mark of a key.
    package var misread: ((inout KeyMark) -> Void)?

    /// Makes hooks that change nothing.
    public init() {}
  }

  /// A future event.
  enum Item {
    case deliver(Parcel)
    case wake(peer: Int)
    case store(peer: Int, incarnation: Int, RequestID, StoreRequest)
    case storeAnswer(peer: Int, incarnation: Int, RequestID, StoreAnswer, isRegress: Bool)
    case work(peer: Int, incarnation: Int, PublicKeyWork)
    case accept(peer: Int, incarnation: Int, RequestID, AcceptDecision)
    case application(peer: Int, phase: Int)
    case reopen(peer: Int, other: Int, phase: Int)
    case fault(Fault, phase: Int)
    case restart(peer: Int, incarnation: Int)
    case attack(phase: Int)
    case calmTick(phase: Int)
    case campaign(phase: Int)
    case act(campaign: Int, phase: Int, goesOn: Bool)
    case unrest(campaign: Int, phase: Int)
    case turn(campaign: Int, Int, roundBegin: Instant, phase: Int)
    case repeatHellos(from: Int, to: Int, phase: Int)
    case release(phase: Int)
    case attemptLimit(peer: Int, incarnation: Int, session: Int, phase: Int)
    case cancelAccept(peer: Int, incarnation: Int, RequestID)
    case closeCancelled(peer: Int, incarnation: Int, session: Int)
  }

  /// The plan of the run.
  public let plan: SimulationPlan
  /// The seed of the run.
  public let seed: UInt64
  /// Manipulations that deceive the invariants.
  public var hooks = Hooks()
  /// The numbers of the run so far.
  public internal(set) var report = SimulationReport()

  /// Makes the endpoint of the peer with an index.
  package typealias Factory = (Int, SimulatedEnvironment) throws(ConfigurationError) -> any SimulatedEndpoint

  let provider: any CryptoProvider
  let factory: Factory
  let ledger = NonceLedger()
  /// The receiver of a trace's lines; nil for none.
  let tracer: SimulationTracer?
  /// The peers of the plan, followed by strangers.
  var peers: [SimulatedPeer] = []
  /// The pairs of peers that have sessions.
  var links: [(Int, Int)] = []
  var agenda = Agenda<Item>()
  var trace: Trace
  var now = Instant.milliseconds(0)
  /// The number of the current turbulence or calm. Events planned in an earlier one do not occur.
  var phase = 0
  var isCalm = true
  /// The time when every pair had recovered, in this calm.
  var recoveredAt: Instant?
  var calmSince = Instant.milliseconds(0)
  /// The time when the last store request of turbulence takes effect. Until then it can still
  /// separate a pair that seems to have recovered.
  var turbulenceTakesEffectUntil = Instant.milliseconds(0)
  var violation: Violation?
  /// The messages of each sender and receiver.
  var flows: [Flow]
  /// The end of the partition for each sender and receiver.
  var blockedUntil: [Instant]
  /// The time when an authentic packet of one peer last reached another from a wrong address.
  var strayed: [Instant]
  /// The datagram that an endpoint is processing.
  var delivering: Parcel?
  /// The histories of the pairs' ratchets.
  var histories: [PairHistory]
  /// A sample of the datagrams that attackers have seen.
  var captured: [Parcel] = []
  /// The adversary's memory.
  var memory: AdversaryMemory
  /// The campaigns under way.
  var campaigns: [Campaign] = []
  var lastCampaign = 0
  /// The adversary's addresses that replace those of peers.
  var relays: [Address: Int] = [:]
  /// The parameters that vary between runs.
  let temper: Temper
  // One generator per concern, so that draws of one do not shift the others more than necessary.
  var networkRandom: SimulationRandom
  var faultRandom: SimulationRandom
  var applicationRandom: SimulationRandom
  var attackRandom: SimulationRandom
  var adversaryRandom: SimulationRandom

  /// Makes a simulation that has not started.
  ///
  /// - Parameters:
  ///   - plan: The plan.
  ///   - seed: The seed.
  ///   - provider: The source of cryptography. The seed replaces its randomness where possible.
  ///   - traceLimit: The number of steps that a violation shows. The default is 200.
  ///   - onTrace: Called with each line of a trace; nil, the default, for none.
  /// - Throws: `ConfigurationError` if the plan is invalid.
  public convenience init(
    _ plan: SimulationPlan, seed: UInt64, provider: any CryptoProvider = StandInCrypto(), traceLimit: Int = 200,
    onTrace: (@Sendable (String) -> Void)? = nil
  ) throws(ConfigurationError) {
    try self.init(plan, seed: seed, provider: provider, traceLimit: traceLimit, onTrace: onTrace) {
      (index, environment) throws(ConfigurationError) in
      if index == 0, plan.responders > 1 { return try FleetEndpoint(environment, count: plan.responders) }
      if index < plan.peers, plan.shards > 1 { return try ShardedEndpoint(environment, count: plan.shards) }
      return try ZSSPEndpoint(environment)
    }
  }

  /// Makes a simulation with endpoints of other implementations.
  package init(
    _ plan: SimulationPlan, seed: UInt64, provider: any CryptoProvider = StandInCrypto(), traceLimit: Int = 200,
    onTrace: (@Sendable (String) -> Void)? = nil, factory: @escaping Factory
  ) throws(ConfigurationError) {
    self.factory = factory
    self.plan = plan
    self.seed = seed
    self.provider = provider
    trace = Trace(limit: max(1, traceLimit))
    tracer = onTrace.map(SimulationTracer.init)
    if let tracer { trace.observer = { tracer.write($0, peer: $1, text: $2, at: $3) } }
    networkRandom = SimulationRandom(seed: seed, stream: 1)
    faultRandom = SimulationRandom(seed: seed, stream: 2)
    applicationRandom = SimulationRandom(seed: seed, stream: 3)
    attackRandom = SimulationRandom(seed: seed, stream: 4)
    adversaryRandom = SimulationRandom(seed: seed, stream: 5)
    temper = Temper(seed: seed)
    let count = plan.peers + (plan.attacksPerSecond > 0 ? 1 : 0)
    flows = Array(repeating: Flow(), count: count * count)
    blockedUntil = Array(repeating: Instant(nanoseconds: .min), count: count * count)
    strayed = blockedUntil
    histories = Array(repeating: PairHistory(), count: count * count)
    memory = AdversaryMemory(peers: count)
    report.seed = seed
    for index in 0..<count { peers.append(try makePeer(index, of: count)) }
    connect()
  }

  /// Runs to the end of the plan.
  ///
  /// - Returns: The numbers of the run.
  /// - Throws: ``Violation`` at the first step that breaks a promise.
  public func run() throws(Violation) -> SimulationReport {
    let end = now.advanced(by: plan.duration)
    while now < end {
      beginTurbulence()
      try proceed(until: now.advanced(by: plan.turbulence))
      beginCalm()
      try proceed(until: now.advanced(by: plan.calm))
      try endCalm()
    }
    finishReport()
    return report
  }

  /// Executes all events until `end`.
  func proceed(until end: Instant) throws(Violation) {
    while let (time, item) = agenda.next(by: end) {
      now = max(now, time)
      report.steps += 1
      perform(item)
      if let violation { throw violation }
    }
    now = end
  }

  private func perform(_ item: Item) {
    switch item {
    case .deliver(let parcel): deliver(parcel)
    // An earlier wake-up has replaced this one, which would plan another each time.
    case .wake(let peer): if peers[peer].wake <= now { wake(peers[peer]) }
    case .store(let peer, let incarnation, let id, let request):
      perform(request, id: id, of: peers[peer], incarnation: incarnation)
    case .storeAnswer(let peer, let incarnation, let id, let answer, let isRegress):
      guard isAlive(peer, incarnation: incarnation) else { return }
      storeAnswered(peers[peer], id: id, answer: answer, isRegress: isRegress)
    case .work(let peer, let incarnation, let work):
      guard isAlive(peer, incarnation: incarnation) else { return }
      let result = work.run()
      trace.add(.work, peer: peer, text: "\(work.kind)", at: now)
      peers[peer].endpoint.complete(result, at: localTime(peers[peer]))
      settle(peers[peer])
    case .accept(let peer, let incarnation, let id, let decision):
      guard isAlive(peer, incarnation: incarnation) else { return }
      answer(peers[peer], request: id, with: decision)
    case .application(let peer, let phase): if phase == self.phase { applicationActs(peers[peer]) }
    case .reopen(let peer, let other, let phase): if phase == self.phase { reopen(peers[peer], to: other) }
    case .fault(let fault, let phase): if phase == self.phase { happen(fault) }
    case .restart(let peer, let incarnation):
      if peers[peer].incarnation == incarnation { restart(peers[peer]) }
    case .attack(let phase): if phase == self.phase { attack() }
    case .calmTick(let phase): if phase == self.phase { calmTick() }
    case .campaign(let phase): if phase == self.phase { beginCampaign() }
    case .act(let campaign, let phase, let goesOn):
      if phase == self.phase { act(inCampaign: campaign, goesOn: goesOn) }
    case .unrest(let campaign, let phase): if phase == self.phase { unrest(inCampaign: campaign) }
    case .turn(let campaign, let number, let begin, let phase):
      if phase == self.phase { turn(inCampaign: campaign, number, roundBegin: begin) }
    case .repeatHellos(let from, let to, let phase): if phase == self.phase { repeatHellos(from: from, to: to) }
    case .release(let phase): if phase == self.phase { releaseOld() }
    case .attemptLimit(let peer, let incarnation, let session, let phase):
      guard phase == self.phase, isAlive(peer, incarnation: incarnation) else { return }
      attemptLimited(peers[peer], session: session)
    case .cancelAccept(let peer, let incarnation, let id):
      if isAlive(peer, incarnation: incarnation) { cancelAccept(of: peers[peer], request: id) }
    case .closeCancelled(let peer, let incarnation, let session):
      if isAlive(peer, incarnation: incarnation) { close(peers[peer], session: session) }
    }
  }

  private func isAlive(_ peer: Int, incarnation: Int) -> Bool {
    peers[peer].isUp && peers[peer].incarnation == incarnation
  }

  func localTime(_ peer: SimulatedPeer) -> Instant { peer.clock.time(at: now) }

  /// Records a violation. The first counts.
  func fail(_ invariant: Violation.Invariant, details: String) {
    guard violation == nil, !plan.unchecked.contains(invariant) else { return }
    tracer?.writeViolation(invariant, details: details, at: now)
    violation = Violation(
      invariant: invariant, details: details, seed: seed, time: Double(now.nanoseconds) / 1e9, step: report.steps,
      trace: trace.lines)
  }

  private func finishReport() {
    for peer in peers { report.add(peer.endpoint.traffic) }
    report.virtualSeconds = Double(now.nanoseconds) / 1e9
    report.traceHash = trace.hash
    report.seals = ledger.seals
  }
}

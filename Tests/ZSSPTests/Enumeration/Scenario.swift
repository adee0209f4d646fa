// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Alice opens a session, data goes both ways, Alice re-keys, Bob re-keys; meanwhile the network
/// and the peers fail as a ``Case`` says; and then everything must heal.
///
/// The application is simple: Alice's opens a session whenever it has none, Bob's listens.
final class Scenario {
  /// The longest time until the pair has a working session once the network is good and both are up
  /// (section 11). At worst Alice's session is stale and its key new. Her S2 timer comes after
  /// `rekeyAfter`, R1 ends after `rekeyTimeout`, and the handshake that she begins then takes no
  /// time on a perfect link, unless it meets the rest of an older one, which `handshakeTimeout`
  /// ends, and waits for a resend or two.
  static let bound: Duration = settings.rekeyAfter + settings.rekeyTimeout + settings.handshakeTimeout + .seconds(2)

  static let settings: Settings = {
    var settings = Settings()
    settings.rekeyAfter = .seconds(120)
    settings.rekeyJitter = .zero
    return settings
  }()

  let test: Case
  let alice: TestPeer
  let bob: TestPeer
  private let logs = (alice: LabelLog(), bob: LabelLog())
  private(set) var now = Instant.milliseconds(1_000)

  /// The datagrams on their way, with the time of arrival; the earliest first.
  private var inFlight: [(arrival: Instant, datagram: Datagram)] = []
  /// Waits for the next datagram of the same sender.
  private var held: [(sentByAlice: Bool, datagram: Datagram)] = []
  private var seen: [Slot: Int] = [:]
  private var phase = 0
  private var isFaulty = true
  private var crashPending = false
  private var aliceIsUpAt: Instant?
  private var bobIsUpAt: Instant?
  private var session: SessionID?
  /// True if the re-keys that the scenario requests began.
  private var rekeyed = (byAlice: false, byBob: false)
  private var mark: UInt8 = 0

  init(_ test: Case, provider: any CryptoProvider) throws {
    self.test = test
    let flags: SecurityFlags = test.isPersistent ? .persistent : .opportunistic
    let aliceKey = provider.generateAgreementKey()
    let bobKey = provider.generateAgreementKey()
    func peer(_ key: any AgreementPrivateKey, log: LabelLog, host: UInt32, knowing other: PublicKey) throws
      -> TestPeer
    {
      var store = MemoryRatchetStore()
      if test.isPersistent {
        let password = [UInt8](repeating: 7, count: 32)
        let state = RatchetState(oneTimePassword: password.rawBytes, provider: provider)
        store = MemoryRatchetStore(pairs: [other: RatchetPair(state)])
      }
      let configuration = EndpointConfiguration(
        staticKey: key, provider: LabellingProvider(base: provider, log: log), flags: flags, helloPolicy: .allow,
        settings: Self.settings)
      let peer = try TestPeer(configuration, at: Address(ipv4: host, port: 9), store: store)
      peer.decide = { _ in .accept(flags) }
      return peer
    }
    alice = try peer(aliceKey, log: logs.alice, host: 1, knowing: bobKey.publicKey)
    bob = try peer(bobKey, log: logs.bob, host: 2, knowing: aliceKey.publicKey)
  }

  // MARK: The script

  /// Runs everything up to the moment when faults have ended and the last late datagram has
  /// arrived.
  func runFaults() throws {
    supervise()
    try runPhase()
    phase = 1
    if let session, aliceIsUpAt == nil { rekeyed.byAlice = alice.rekey(session, at: now) }
    try runPhase()
    phase = 2
    if let session = bob.establishedSession, bobIsUpAt == nil { rekeyed.byBob = bob.rekey(session, at: now) }
    try runPhase()
    isFaulty = false
    release(sentByAlice: true)
    release(sentByAlice: false)
    while let last = inFlight.last?.arrival ?? aliceIsUpAt ?? bobIsUpAt { try run(until: last) }
  }

  /// Lets the pair heal, up to ``bound``. Returns how long it took; nil if it has not.
  func heal() throws -> Duration? {
    let start = now
    while true {
      if try isWorking() { return start.duration(to: now) }
      guard start.duration(to: now) < Self.bound else { return nil }
      try run(until: now.advanced(by: .seconds(1)))
    }
  }

  /// Returns true if data goes both ways.
  func isWorking() throws -> Bool {
    guard let session, let answered = bob.establishedSession else { return false }
    guard alice.state(session) == "S2", bob.state(answered) == "S2" else { return false }
    mark &+= 1
    try alice.send([mark, 1], on: session, at: now)
    try bob.send([mark, 2], on: answered, at: now)
    try run(until: now)
    return alice.messages.last?.bytes == [mark, 2] && bob.messages.last?.bytes == [mark, 1]
  }

  /// Returns the problems that remain although data goes both ways.
  func problems() -> [String] {
    var problems: [String] = []
    let one = alice.store.pairs[bob.publicKey]
    let other = bob.store.pairs[alice.publicKey]
    if one == nil || one?.state1 != other?.state1 { problems.append("the stores differ") }
    if one?.state2 != nil || other?.state2 != nil { problems.append("an older state is still stored") }
    if alice.sessionCount != 1 || bob.sessionCount != 1 {
      problems.append("\(alice.sessionCount) and \(bob.sessionCount) sessions")
    }
    if test.isPersistent, alice.downgrades + bob.downgrades > 0 { problems.append("a downgrade in persistent mode") }
    return problems
  }

  /// Returns the parts of the test that did not take place. A crash may prevent any.
  func omissions() -> [String] {
    guard test.crash == nil else { return [] }
    var omissions: [String] = []
    for (slot, faults) in Dictionary(grouping: test.faults, by: \.slot) {
      // What arrives at once, once or twice, is not sent again, so the second fault has nothing to
      // befall.
      let isLate = faults[0].misfortune != .duplicated && faults[0].misfortune != .swapped
      let count = seen[slot, default: 0]
      let needed = isLate ? faults.count : 1
      if count < needed { omissions.append("\(slot.rawValue) was sent \(count) times, and \(needed) were to suffer") }
    }
    if !rekeyed.byAlice { omissions.append("Alice's re-key did not begin") }
    if !rekeyed.byBob { omissions.append("Bob's re-key did not begin") }
    return omissions
  }

  // MARK: The steps

  /// Runs until both sides are in S2, for three seconds at least and fifteen at most; then sends
  /// data.
  private func runPhase() throws {
    let start = now
    try run(until: start.advanced(by: .seconds(3)))
    while try !isWorking(), start.duration(to: now) < .seconds(15) { try run(until: now.advanced(by: .seconds(1))) }
  }

  private func run(until end: Instant) throws {
    try settle()
    while true {
      let next = [
        alice.nextDeadline, bob.nextDeadline, inFlight.first?.arrival, aliceIsUpAt, bobIsUpAt,
      ].compactMap(\.self).min()
      guard let next, next <= end else { break }
      now = max(now, next)
      try wake()
      if aliceIsUpAt == nil { alice.advance(to: now) }
      if bobIsUpAt == nil { bob.advance(to: now) }
      try settle()
    }
    now = max(now, end)
  }

  /// Delivers what is due until nothing is.
  private func settle() throws {
    try collect()
    while let first = inFlight.first, first.arrival <= now {
      inFlight.removeFirst()
      let datagram = first.datagram
      let isForAlice = datagram.to == alice.address
      guard (isForAlice ? aliceIsUpAt : bobIsUpAt) == nil else { continue }
      (isForAlice ? alice : bob).receive(datagram.bytes, from: datagram.from, at: now)
      try collect()
    }
  }

  /// Puts into the network what both have to send, crashes who is to crash, and lets the
  /// application look after itself.
  private func collect() throws {
    for datagram in alice.pump(at: now) { send(datagram, label: logs.alice.label(of: datagram.bytes), byAlice: true) }
    for datagram in bob.pump(at: now) { send(datagram, label: logs.bob.label(of: datagram.bytes), byAlice: false) }
    if crashPending, let crash = test.crash {
      crashPending = false
      let up = now.advanced(by: .milliseconds(crash.downtime))
      if crash.ofAlice {
        try alice.restart()
        session = nil
        aliceIsUpAt = up
      } else {
        try bob.restart()
        bobIsUpAt = up
      }
      try wake()
    }
    supervise()
    for datagram in alice.pump(at: now) { send(datagram, label: logs.alice.label(of: datagram.bytes), byAlice: true) }
  }

  private func wake() throws {
    if let up = aliceIsUpAt, up <= now { aliceIsUpAt = nil }
    if let up = bobIsUpAt, up <= now { bobIsUpAt = nil }
    supervise()
  }

  private func supervise() {
    guard aliceIsUpAt == nil, session.flatMap(alice.state) == nil else { return }
    let identity = [UInt8](repeating: 3, count: test.hasLongIdentity ? 2000 : 3)
    session = try? alice.open(to: bob, identity: identity, at: now)
  }

  // MARK: The network

  private func send(_ datagram: Datagram, label: Label?, byAlice: Bool) {
    guard isFaulty,
      let slot = label.flatMap({ Slot.slot(of: $0, in: phase, hasLongIdentity: test.hasLongIdentity) })
    else {
      return deliver(datagram, byAlice: byAlice)
    }
    let ordinal = seen[slot, default: 0]
    seen[slot] = ordinal + 1
    if ordinal == 0, test.crash?.slot == slot { crashPending = true }
    let faults = test.faults.filter { $0.slot == slot }
    guard ordinal < faults.count else { return deliver(datagram, byAlice: byAlice) }
    let misfortune = faults[ordinal].misfortune
    switch misfortune {
    case .dropped: return
    case .swapped: held.append((byAlice, datagram))
    case .duplicated:
      deliver(datagram, byAlice: byAlice)
      deliver(datagram, byAlice: byAlice)
    default: deliver(datagram, byAlice: byAlice, after: misfortune.delay ?? 0)
    }
  }

  private func deliver(_ datagram: Datagram, byAlice: Bool, after delay: Int64 = 0) {
    let arrival = now.advanced(by: .milliseconds(delay))
    let place = inFlight.firstIndex { $0.arrival > arrival } ?? inFlight.count
    inFlight.insert((arrival, datagram), at: place)
    release(sentByAlice: byAlice)
  }

  private func release(sentByAlice: Bool) {
    guard let index = held.firstIndex(where: { $0.sentByAlice == sentByAlice }) else { return }
    deliver(held.remove(at: index).datagram, byAlice: sentByAlice)
  }
}

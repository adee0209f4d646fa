// SPDX-License-Identifier: Apache-2.0

import ZSSP
import ZSSPReference
import ZSSPSimulator

/// Two parties, a bad network and a schedule, all from one seed; and a line for everything that
/// happens.
///
/// Neither draws nor fates depend on the implementations, so two worlds of one seed must write the
/// same lines: the same datagrams byte by byte, the same events, messages, store requests, states
/// and timers, at the same times.
final class World {
  private struct Flight {
    let arrival: Instant
    let number: Int
    let to: Int
    let from: Address
    let bytes: [UInt8]
  }

  private let seed: UInt64
  private let implementations: [PartyConfiguration.Implementation]
  private let scene: Scene
  private var random: SimulationRandom
  private var parties: [any Party] = []
  private var stores: [FailingStore] = []
  private var addresses = [Address(ipv4: 1, port: 100), Address(ipv4: 2, port: 200)]
  private var incarnations = [0, 0]
  private var flights: [Flight] = []
  /// The datagrams that an attacker has seen.
  private var captured: [Flight] = []
  private var sent = 0
  private var isCalm = false
  private var now = Instant.milliseconds(1_000)
  private(set) var lines: [String] = []

  init(seed: UInt64, _ one: PartyConfiguration.Implementation, _ other: PartyConfiguration.Implementation) throws {
    self.seed = seed
    implementations = [one, other]
    scene = Scene(seed: seed)
    random = SimulationRandom(seed: seed, stream: 1)
    for index in 0..<2 {
      let pairs = scene.persistent.map { [scene.key(1 - index).publicKey: $0] } ?? [:]
      let fates = SimulationRandom(seed: seed, stream: 50 + UInt64(index))
      stores.append(FailingStore(pairs) { [unowned self] in isCalm ? .works : Self.fate($0, random: fates) })
      parties.append(try makeParty(index))
    }
  }

  private static func fate(_ number: Int, random: SimulationRandom) -> FailingStore.Fate {
    var random = random
    for _ in 0..<number % 512 { _ = random.next() }
    switch random.below(100) {
    case 0..<2: return .fails
    case 2: return .failsAfterwards
    default: return .works
    }
  }

  private func makeParty(_ index: Int) throws -> any Party {
    let stream = 100 + UInt64(64 * index + incarnations[index])
    var moods = SimulationRandom(seed: seed, stream: stream + 1000)
    return try PartyConfiguration(
      staticKey: scene.key(index), provider: SeededProvider(StandInCrypto(), seed: seed, stream: stream),
      profile: scene.profile, flags: scene.flags[index], policy: scene.policy, settings: scene.settings,
      store: stores[index], accepts: { [unowned self] in moods.below(20) > 0 || isCalm }
    ).make(implementations[index])
  }

  // MARK: The schedule

  /// Runs `steps` operations under faults, and then lets the pair come together on a good network.
  func run(steps: Int) throws {
    for _ in 0..<steps {
      let pause = random.below(10)
      let wait: ClosedRange<Duration> =
        pause == 0 ? .seconds(20) ... .seconds(200) : pause < 3 ? .zero ... .seconds(12) : .zero ... .seconds(2)
      run(until: now.advanced(by: random.duration(wait)))
      try act(random.below(2))
    }
    isCalm = true
    run(until: now.advanced(by: .seconds(15)))
    // Who has no session opens one.
    if parties[0].sessions().isEmpty {
      act(0, what: "open") { $0.open(to: peerKey(0), at: addresses[1], identity: [], now: now) }
    }
    run(until: now.advanced(by: .seconds(100)))
  }

  private func peerKey(_ index: Int) -> PublicKey { scene.key(1 - index).publicKey }

  private func act(_ index: Int) throws {
    let dice = random.below(100)
    let size = random.below(random.below(4) == 0 ? 5000 : 300)
    let which = random.below(8)
    let sessions = parties[index].sessions().keys.sorted()
    let session = sessions.isEmpty ? 0 : sessions[which % sessions.count]
    switch dice {
    case 0..<4: try restart(index)
    case 90..<100: attack()
    case 4..<8: act(index, what: "close \(session)") { $0.close(session, at: now) }
    case 8..<16: act(index, what: "rekey \(session)") { $0.rekey(session, at: now) }
    case 16..<20:
      addresses[index] = Address(ipv4: UInt32(index + 1), port: addresses[index].port + 1)
      note("\(index) moves")
    case 20..<45 where sessions.count < 2:
      let identity = [UInt8](repeating: UInt8(index), count: size % 3000)
      act(index, what: "open") { $0.open(to: peerKey(index), at: addresses[1 - index], identity: identity, now: now) }
    default:
      let message = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      for _ in 0...which % 3 {
        act(index, what: "send \(size) on \(session)") { $0.send(message, on: session, at: now) }
      }
    }
  }

  private func restart(_ index: Int) throws {
    note("\(index) restarts")
    incarnations[index] += 1
    if scene.persistent == nil, random.below(3) == 0 { stores[index].forget() }
    parties[index] = try makeParty(index)
  }

  /// Someone repeats, cuts, stretches or redirects what was sent before, from another address, or
  /// sends a Hello of noise.
  private func attack() {
    let kind = random.below(6)
    let place = random.below(max(1, captured.count))
    var noise = random
    let hello = FloodHello.make(&noise)
    random = noise
    guard !captured.isEmpty else { return }
    let original = captured[place]
    var bytes = original.bytes
    switch kind {
    case 0: break
    case 1: bytes.removeLast(random.below(bytes.count))
    case 2: bytes += [UInt8](repeating: 7, count: 1 + random.below(300))
    case 3: bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8))
    case 4: bytes = hello
    default: bytes = Array(bytes[0..<4]) + (0..<20 + random.below(200)).map { _ in UInt8(random.below(256)) }
    }
    let source = random.below(3) == 0 ? original.from : Address(ipv4: 66, port: 6)
    note("attack \(kind) on \(original.to) with \(bytes.count) bytes")
    deliver(Flight(arrival: now, number: 0, to: original.to, from: source, bytes: bytes))
  }

  private func run(until end: Instant) {
    while true {
      let deadlines = parties.map(\.nextDeadline)
      let next = (deadlines + [flights.first?.arrival]).compactMap(\.self).min()
      guard let next, next <= end else { break }
      now = max(now, next)
      if let flight = flights.first, flight.arrival <= now {
        flights.removeFirst()
        deliver(flight)
      } else {
        for index in 0..<2 where deadlines[index].map({ $0 <= now }) ?? false {
          act(index, what: "ticks") { $0.tick(at: now) }
        }
      }
    }
    now = max(now, end)
  }

  private func deliver(_ flight: Flight) {
    act(flight.to, what: "receives \(flight.number)") { party in
      guard let message = party.receive(flight.bytes, from: flight.from, at: now) else { return }
      note("\(flight.to) got a message: \(message.count) bytes, \(Self.digest(message))")
    }
  }

  // MARK: Notes

  private func act(_ index: Int, what: String, body: (any Party) -> Void) {
    let party = parties[index]
    note("\(index) \(what)")
    body(party)
    for line in stores[index].takeLog() { note("\(index)   \(line)") }
    for event in party.takeEvents() { note("\(index)   event \(event)") }
    for datagram in party.takeDatagrams() { send(datagram.bytes, from: index, to: datagram.address) }
    for (number, session) in party.sessions().sorted(by: { $0.key < $1.key }) {
      note("\(index)   \(number) \(session)")
    }
    note("\(index)   holds \(stores[index].pairs[peerKey(index)]?.summary ?? "nothing")")
    note("\(index)   next \(party.nextDeadline.map { "\($0.nanoseconds)" } ?? "never")")
  }

  private func note(_ line: String) { lines.append("\(now.nanoseconds / 1000) \(line)") }

  private static func digest(_ bytes: [UInt8]) -> String {
    String(StandInCrypto().hash(bytes.rawBytes, RawSpan()).bytes.hexadecimal.prefix(16))
  }

  /// The fate of a datagram; all draws are made for each.
  private func send(_ bytes: [UInt8], from index: Int, to address: Address) {
    sent += 1
    note("\(index)   sends \(sent): \(bytes.count) bytes to \(address.port), \(Self.digest(bytes))")
    let isLost = random.below(100) < 8
    let isTwice = random.below(100) < 6
    let isLate = random.below(100) < 10
    let isCorrupt = random.below(100) < 2
    let place = random.below(8 * bytes.count)
    let delay = random.duration(.milliseconds(1) ... .milliseconds(90))
    let lateness = random.duration(.zero ... .seconds(12))
    guard let to = addresses.firstIndex(of: address) else { return }
    // What is lost to the receiver is not lost to an attacker.
    let flight = Flight(arrival: now, number: sent, to: to, from: addresses[index], bytes: bytes)
    captured = captured.suffix(40) + [flight]
    guard isCalm || !isLost else { return }
    var bytes = bytes
    if isTwice, !isCalm { add(bytes, from: index, to: to, after: lateness) }
    if isCorrupt, !isCalm { bytes[place / 8] ^= 1 << UInt8(place % 8) }
    add(bytes, from: index, to: to, after: isLate && !isCalm ? lateness : delay)
  }

  private func add(_ bytes: [UInt8], from index: Int, to: Int, after delay: Duration) {
    let arrival = now.advanced(by: delay)
    let place = flights.firstIndex { $0.arrival > arrival } ?? flights.count
    let flight = Flight(arrival: arrival, number: sent, to: to, from: addresses[index], bytes: bytes)
    flights.insert(flight, at: place)
  }

  /// True if both have a session in S2 at the end.
  var isWorking: Bool { parties.allSatisfy { $0.sessions().values.contains { $0.hasPrefix("S2") } } }
}

/// The properties that a seed gives the pair: keys, flags, profile, policy, sizes.
struct Scene {
  let profile: Profile
  let flags: [SecurityFlags]
  let policy: HelloPolicy
  let settings: Settings
  /// The states that both stores hold at the start; nil for none.
  let persistent: RatchetPair?
  private let keys: [any AgreementPrivateKey]

  init(seed: UInt64) {
    var random = SimulationRandom(seed: seed, stream: 2)
    let provider = SeededProvider(StandInCrypto(), seed: seed, stream: 3)
    profile = Profile.allCases[random.below(3)]
    let mode = random.below(3)
    let some = (0..<2).map { _ in SecurityFlags(rawValue: UInt8(random.below(16)) & 0b1110) }
    flags = [[SecurityFlags.persistent, .persistent], [.opportunistic, .opportunistic], some][mode]
    // Few challenges, for proofs of work take their time. With π1 they SHOULD be off (section 8),
    // and both must still agree.
    policy = [.challenge, .allow, .allow, .automatic(), .automatic()][random.below(5)]
    persistent =
      mode == 0
      ? ReferencePeer.oneTimePassword((0..<32).map { _ in UInt8(random.below(256)) }, provider: provider) : nil
    var settings = Settings()
    settings.mtu = [128, 300, 700, 1400][random.below(4)]
    settings.rekeyAfter = .seconds(90)
    settings.rekeyJitter = .seconds(30)
    if random.below(2) == 0 { settings.reassemblyPackets = 2 }
    // Short enough to be met in a schedule.
    settings.previousKeyLifetime = .seconds(20)
    settings.rekeyBurst = 1 + random.below(3)
    settings.rekeyRefill = .seconds(10)
    settings.bodiesPerHandshake = 1 + random.below(4)
    if random.below(3) == 0 { settings.rekeyUses = 24 }
    if random.below(2) == 0 { settings.keepAlive = .seconds(4) }
    if random.below(3) == 0 { settings.idleTimeout = .seconds(15) }
    if random.below(6) == 0 {
      settings.rekeyUses = min(settings.rekeyUses, 56)
      settings.keyUseLimit = 60
    }
    self.settings = settings
    keys = (0..<2).map { _ in provider.generateAgreementKey() }
  }

  func key(_ index: Int) -> any AgreementPrivateKey { keys[index] }
}

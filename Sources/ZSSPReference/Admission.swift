// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 14, "When to challenge" and "Turns": which Hellos are read, and when.

/// "Policy per Hello: allow, challenge, drop." And: "it waits for its turn".
enum Verdict {
  case allow, wait, challenge, drop
}

/// Decides on each Hello by the policy.
///
/// This implementation measures no work, so each Hello "counts as 2 ms".
struct Gate {
  /// "100 ms in each second", and "another 200 ms in each second".
  private var unchallenged = Bucket(perSecond: 50)
  private var challenged = Bucket(perSecond: 100)
  /// "A quarter of that time": 25 and 50 ms in each second, of X3.
  private var bodies = [true: Bucket(nanosecondsEach: 80_000_000), false: Bucket(nanosecondsEach: 40_000_000)]
  private var hosts: [Source: Bucket] = [:]
  private var line = Line()

  /// Section 14, "When to challenge".
  mutating func admit(
    _ hello: [UInt8], response: ChallengeBytes, from address: Address, policy: ReferencePeer.HelloPolicy,
    isSilent: Bool, patience: Duration, challenger: inout Challenger, at now: Instant
  ) -> Verdict {
    // [CHAL-13]
    switch policy {
    case .allow: return .allow
    case .drop: return .drop
    case .challenge, .automatic: break
    }
    // "With π1 no Hello is challenged", unless the policy is to challenge all.
    // [CHAL-14] [DEC-56]
    let isAsked = policy == .challenge || !isSilent
    // "What else comes from its address with a response meanwhile is dropped; with π1, whatever
    // comes from there."
    // [DEC-58]
    if line.holds(address), response.isResponse || !isAsked { return .drop }
    // [DEC-52]
    if policy == .automatic {
      // [DEC-53]
      var own = hosts[Source(address)] ?? Bucket(perSecond: 25)
      defer { hosts[Source(address)] = own }
      if own.hasRoom(at: now), unchallenged.hasRoom(at: now) {
        unchallenged.take()
        own.take()
        return .allow
      }
    }
    // [CHAL-7]
    if isAsked, !response.isResponse { return .challenge }
    // [DEC-61]
    guard line.hasRoom(for: address) else { return .drop }
    // "A response is redeemed exactly when its Hello gets into the line."
    // [DEC-51]
    if isAsked, !challenger.redeem(response, from: address, at: now) { return .challenge }
    // [DEC-58]
    line.append(hello, from: address, until: now.advanced(by: patience))
    return .wait
  }

  /// Returns the next Hello whose turn has come; nil if there is none.
  mutating func next(_ policy: ReferencePeer.HelloPolicy, at now: Instant) -> (hello: [UInt8], address: Address)? {
    guard !line.isEmpty, policy != .drop, policy == .allow || challenged.hasRoom(at: now) else { return nil }
    // [DEC-54] [DEC-57]
    if policy != .allow { challenged.take() }
    return line.next()
  }

  /// Charges one more X3 of a handshake, if there is time (section 14, "When to challenge").
  /// `wasChallenged` tells the budget that its Hello was charged to. An X3 counts as a quarter of a
  /// Hello.
  mutating func takeX3(_ policy: ReferencePeer.HelloPolicy, wasChallenged: Bool, at now: Instant) -> Bool {
    switch policy {
    case .allow, .drop: return true
    case .challenge, .automatic: break
    }
    guard bodies[!wasChallenged]?.hasRoom(at: now) == true else { return false }
    bodies[!wasChallenged]?.take(partOf: 4, at: now)
    if wasChallenged { challenged.take(partOf: 4, at: now) } else { unchallenged.take(partOf: 4, at: now) }
    return true
  }

  mutating func expire(at now: Instant) { line.expire(at: now) }

  /// Returns the time at which ``next(_:at:)`` or ``expire(at:)`` has something to do.
  func deadline(_ policy: ReferencePeer.HelloPolicy) -> Instant? {
    guard let expiry = line.oldestExpiry, policy != .drop else { return line.oldestExpiry }
    return policy == .allow ? Instant(nanoseconds: .min) : min(expiry, challenged.nextRoom)
  }
}

/// "A network is 24 bits of an IPv4 address or 48 of an IPv6 address, a host 32 or 64". An IPv6
/// address that contains an IPv4 address counts as that one.
struct Source: Hashable {
  let network, host: [UInt8]

  init(_ address: Address) {
    let bytes = bigEndian(address.high) + bigEndian(address.low)
    // [DEC-17]
    let isMapped = bytes[0..<12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
    let isTranslated = bytes[0..<12] == [0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0]
    if address.family == .ipv4 || isMapped || isTranslated {
      network = Array(bytes[12..<15])
      host = Array(bytes[12..<16])
    } else {
      network = Array(bytes[0..<6])
      host = Array(bytes[0..<8])
    }
  }

  // [DEC-18]
  /// Returns the heaviest of `candidates`: those whose network has the most of `sources`, and among
  /// these those whose host has the most.
  static func heaviest(_ sources: [Source], of candidates: [Source]? = nil) -> Set<Source> {
    func weight(_ source: Source) -> (Int, Int) {
      (sources.count { $0.network == source.network }, sources.count { $0.host == source.host })
    }
    let candidates = candidates ?? sources
    guard let most = candidates.map(weight).max(by: <) else { return [] }
    return Set(candidates.filter { weight($0) == most })
  }
}

/// Section 14, "Turns".
struct Line {
  private typealias Waiting = (hello: [UInt8], address: Address, expiry: Instant)

  /// The Hellos, in order of arrival.
  private var waiting: [Waiting] = []
  /// The networks in the order of their turns, and the hosts of each.
  private var networks: [[UInt8]] = []
  private var hosts: [[UInt8]: [[UInt8]]] = [:]

  var isEmpty: Bool { waiting.isEmpty }
  var oldestExpiry: Instant? { waiting.first?.expiry }

  func holds(_ address: Address) -> Bool { waiting.contains { $0.address == address } }

  // [DEC-60]
  /// "512 wait at most, and 8 of one host, each from a port of its own. When all places are taken,
  /// the latest of the network that has most makes room for one of a network that has at least two
  /// less."
  func hasRoom(for address: Address) -> Bool {
    let own = Source(address)
    let others = waiting.map { Source($0.address) }
    guard !holds(address), others.count(where: { $0.host == own.host }) < 8 else { return false }
    func count(_ network: [UInt8]) -> Int { others.count { $0.network == network } }
    return waiting.count < 512 || networks.contains { count($0) >= count(own.network) + 2 }
  }

  mutating func append(_ hello: [UInt8], from address: Address, until expiry: Instant) {
    if waiting.count >= 512 {
      // [DEC-60]
      let heaviest = Source.heaviest(waiting.map { Source($0.address) })
      if let latest = waiting.lastIndex(where: { heaviest.contains(Source($0.address)) }) { remove(at: latest) }
    }
    let source = Source(address)
    waiting.append((hello, address, expiry))
    if !networks.contains(source.network) { networks.append(source.network) }
    if hosts[source.network]?.contains(source.host) != true { hosts[source.network, default: []].append(source.host) }
  }

  /// "Networks take turns, and so do the hosts of a network; of one host the first to come is the
  /// first to be read."
  mutating func next() -> (hello: [UInt8], address: Address)? {
    guard let network = networks.first, let host = hosts[network]?.first,
      let index = waiting.firstIndex(where: { Source($0.address).host == host })
    else { return nil }
    let (hello, address, _) = waiting[index]
    // [DEC-59]
    networks.append(networks.removeFirst())
    hosts[network]?.append(host)
    hosts[network]?.removeFirst()
    remove(at: index)
    return (hello, address)
  }

  mutating func expire(at now: Instant) {
    while let first = waiting.first, first.expiry <= now { remove(at: 0) }
  }

  private mutating func remove(at index: Int) {
    let source = Source(waiting.remove(at: index).address)
    if !waiting.contains(where: { Source($0.address).host == source.host }) {
      hosts[source.network]?.removeAll { $0 == source.host }
    }
    if hosts[source.network]?.isEmpty == true {
      hosts[source.network] = nil
      networks.removeAll { $0 == source.network }
    }
  }
}

/// A limit of events per second, with bursts of up to one second's worth.
struct Bucket {
  // [DEC-55]
  private static let full: Int64 = 1_000_000_000

  private let cost: Int64
  private var credit = full
  private var lastSeen: Instant?

  init(perSecond: Int64) { cost = Self.full / perSecond }

  init(nanosecondsEach cost: Int64) { self.cost = cost }

  /// Fills the bucket for the time that has passed. Returns true if there is enough for one more.
  mutating func hasRoom(at now: Instant) -> Bool {
    let before = lastSeen ?? now
    let passed = now.nanoseconds.subtractingReportingOverflow(before.nanoseconds).partialValue
    credit = passed >= Self.full ? Self.full : min(Self.full, credit + max(0, passed))
    lastSeen = max(before, now)
    return credit >= cost
  }

  /// The time when there is enough for one more, if nothing is taken.
  var nextRoom: Instant {
    guard let lastSeen, credit < cost else { return Instant(nanoseconds: .min) }
    return lastSeen.advanced(by: .nanoseconds(cost - credit))
  }

  mutating func take() { credit -= cost }

  /// Takes for an item that costs a part of the usual.
  mutating func take(partOf divisor: Int64, at now: Instant) {
    _ = hasRoom(at: now)
    credit -= cost / divisor
  }
}

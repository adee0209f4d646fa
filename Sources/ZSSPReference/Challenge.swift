// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 8: ZCP. Proof of address ownership and proof of work in front of the first Hello.

/// The 32 bytes of a challenge or a response: `counter (8) || mac (16) || pow (8)`.
struct ChallengeBytes: Equatable {
  var counter: UInt64 = 0
  var mac = [UInt8](repeating: 0, count: 16)
  var pow: UInt64

  /// "Alice's first Hello carries `0^8 || 0^16 || random pow`."
  init(randomPow pow: UInt64) { self.pow = pow }

  init(counter: UInt64, mac: [UInt8], pow: UInt64) { (self.counter, self.mac, self.pow) = (counter, mac, pow) }

  /// Reads 32 bytes.
  init(_ bytes: ArraySlice<UInt8>) {
    let bytes = Array(bytes)
    (counter, mac, pow) = (integer(bytes[0..<8]), Array(bytes[8..<24]), integer(bytes[24..<32]))
  }

  var bytes: [UInt8] { bigEndian(counter) + mac + bigEndian(pow) }

  /// Whether this answers a challenge, right or wrong.
  var isResponse: Bool { mac.contains { $0 != 0 } }

  /// "The first 13 bits of `HASH(response)` are zero."
  func hasWork(_ crypto: Primitives) -> Bool { integer(crypto.hash(bytes)[0..<2]) >> 3 == 0 }

  /// "She copies counter and mac, then counts pow up from a random start (wrapping)."
  func solved(from start: UInt64, _ crypto: Primitives) -> ChallengeBytes {
    var response = self
    response.pow = start
    while !response.hasWork(crypto) { response.pow &+= 1 }
    return response
  }
}

/// Bob's side: salts, and the counters that were redeemed under them.
///
/// Section 14: "Bob remembers the counters of answered challenges only, under the salt that made them; salts rotate
/// every 60 s and are good for one rotation more."
struct Challenger {
  static let saltLifetime = Duration.seconds(60)

  private let crypto: Primitives
  /// The newest first, two at most.
  private var salts: [(bytes: [UInt8], redeemed: Set<UInt64>)]
  private var rotation: Instant?
  private var nextCounter: UInt64 = 0

  init(salt: [UInt8], _ crypto: Primitives) { (salts, self.crypto) = ([(salt, [])], crypto) }

  /// "Bob answers with type 9, payload `kid_A || d || mac_d || Alice's pow`, `d` his own increasing counter."
  mutating func challenge(_ source: Address, pow: UInt64, at now: Instant) -> ChallengeBytes {
    rotate(at: now)
    defer { nextCounter &+= 1 }
    return ChallengeBytes(counter: nextCounter, mac: mac(nextCounter, source, salts[0].bytes), pow: pow)
  }

  /// "A Hello passes only if counter c was not used before, mac is right, and the first 13 bits of `HASH(response)` are
  /// zero; then c is marked used."
  mutating func redeem(_ response: ChallengeBytes, _ source: Address, at now: Instant) -> Bool {
    guard response.hasWork(crypto) else { return false }
    rotate(at: now)
    for index in salts.indices where response.mac == mac(response.counter, source, salts[index].bytes) {
      return salts[index].redeemed.insert(response.counter).inserted
    }
    return false
  }

  /// `mac_d = HASH(d || source address || salt)[0..<16]`
  private func mac(_ counter: UInt64, _ source: Address, _ salt: [UInt8]) -> [UInt8] {
    Array(crypto.hash(bigEndian(counter) + source.bytes, salt)[0..<16])
  }

  /// Salts are looked at only when one is needed, so an idle Bob draws nothing.
  private mutating func rotate(at now: Instant) {
    let due = rotation ?? now.advanced(by: Self.saltLifetime)
    rotation = due
    guard due <= now else { return }
    let isRecent = now < due.advanced(by: Self.saltLifetime)
    salts.removeLast(isRecent ? salts.count - 1 : salts.count)
    salts.insert((crypto.random(32), []), at: 0)
    rotation = now.advanced(by: Self.saltLifetime)
  }
}

/// "Policy per Hello: allow, challenge, drop."
enum Verdict {
  case allow, challenge, drop
}

/// Decides, Hello by Hello, what the policy comes to.
struct Gate {
  private var read = Bucket(perSecond: 50)
  private var challenged = Bucket(perSecond: 100)
  private var hosts: [Address: Bucket] = [:]

  /// Section 14: "By default Hellos are read while a budget lasts (50 a second, 25 for each host), challenged beyond it,
  /// and then read within a second budget (100 a second). With π1 Hellos beyond the budget are dropped instead."
  mutating func judge(
    _ response: ChallengeBytes, from source: Address, _ policy: ReferencePeer.HelloPolicy, isSilent: Bool,
    _ challenger: inout Challenger, at now: Instant
  ) -> Verdict {
    switch policy {
    case .allow: return .allow
    case .drop: return .drop
    case .challenge: return challenger.redeem(response, source, at: now) ? .allow : .challenge
    case .automatic: break
    }
    let host = Self.host(source)
    var own = hosts[host] ?? Bucket(perSecond: 25)
    defer { hosts[host] = own }
    if own.hasRoom(at: now), read.hasRoom(at: now) {
      read.take()
      own.take()
      return .allow
    }
    if isSilent { return .drop }
    if !response.isResponse { return .challenge }
    // A response is redeemed only if it is then read, so that one that comes at a bad moment can come again.
    guard own.hasRoom(at: now), challenged.hasRoom(at: now) else { return .drop }
    guard challenger.redeem(response, source, at: now) else { return .challenge }
    challenged.take()
    own.take()
    return .allow
  }

  /// A host is an IPv4 address, or the network part of an IPv6 address: it has all the others of the network for the
  /// asking.
  private static func host(_ source: Address) -> Address {
    source.family == .ipv6
      ? Address(ipv6: source.high, 0, port: 0) : Address(ipv4: UInt32(truncatingIfNeeded: source.low), port: 0)
  }
}

/// So many per second, and up to a second's worth at once.
struct Bucket {
  private static let full: Int64 = 1_000_000_000

  private let cost: Int64
  private var credit = full
  private var lastSeen: Instant?

  init(perSecond: Int64) { cost = Self.full / perSecond }

  /// Fills the bucket for the time that has passed, and says whether there is enough for one more.
  mutating func hasRoom(at now: Instant) -> Bool {
    let before = lastSeen ?? now
    let passed = now.nanoseconds.subtractingReportingOverflow(before.nanoseconds).partialValue
    credit = passed >= Self.full ? Self.full : min(Self.full, credit + max(0, passed))
    lastSeen = max(before, now)
    return credit >= cost
  }

  mutating func take() { credit -= cost }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 8: ZCP. Proof of address ownership and proof of work in front of the first Hello.

/// The 32 bytes of a challenge or a response: `counter (8) || mac (16) || pow (8)`.
struct ChallengeBytes: Equatable {
  var counter: UInt64 = 0
  var mac = [UInt8](repeating: 0, count: 16)
  var pow: UInt64

  // [CHAL-2]
  /// "Alice's first Hello carries `0^8 || 0^16 || random pow`."
  init(randomPow pow: UInt64) { self.pow = pow }

  init(counter: UInt64, mac: [UInt8], pow: UInt64) {
    self.counter = counter
    self.mac = mac
    self.pow = pow
  }

  // [CHAL-1]
  /// Reads 32 bytes.
  init(_ bytes: ArraySlice<UInt8>) {
    let bytes = Array(bytes)
    counter = integer(bytes[0..<8])
    mac = Array(bytes[8..<24])
    pow = integer(bytes[24..<32])
  }

  // [CHAL-1]
  var bytes: [UInt8] { bigEndian(counter) + mac + bigEndian(pow) }

  /// True if this answers a challenge, right or wrong.
  var isResponse: Bool { mac.contains { $0 != 0 } }

  // [CHAL-5]
  /// "The first 13 bits of `HASH(response)` are zero."
  func hasWork(_ crypto: Primitives) -> Bool { integer(crypto.hash(bytes)[0..<2]) >> 3 == 0 }

  // [CHAL-11]
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
/// Section 14: "Bob remembers the counters of answered challenges only, under the salt that made
/// them; salts rotate every 60 s and are good for one rotation more."
struct Challenger {
  // [DEC-50]
  static let saltLifetime = Duration.seconds(60)

  private let crypto: Primitives
  /// The newest first. There are at most two.
  private var salts: [(bytes: [UInt8], redeemed: Set<UInt64>)]
  private var rotation: Instant?
  private var nextCounter: UInt64 = 0

  init(salt: [UInt8], _ crypto: Primitives) {
    salts = [(salt, [])]
    self.crypto = crypto
  }

  // [CHAL-7]
  /// "Bob answers with type 9, payload `kid_A || d || mac_d || Alice's pow`, `d` his own increasing
  /// counter."
  mutating func challenge(_ source: Address, pow: UInt64, at now: Instant) -> ChallengeBytes {
    rotate(at: now)
    defer { nextCounter &+= 1 }
    return ChallengeBytes(counter: nextCounter, mac: mac(nextCounter, source: source, salt: salts[0].bytes), pow: pow)
  }

  /// "A Hello passes only if counter c was not used before, mac is right, and the first 13 bits of
  /// `HASH(response)` are zero; then c is marked used."
  mutating func redeem(_ response: ChallengeBytes, from source: Address, at now: Instant) -> Bool {
    // [CHAL-5]
    guard response.hasWork(crypto) else { return false }
    rotate(at: now)
    // [CHAL-4]
    for index in salts.indices where response.mac == mac(response.counter, source: source, salt: salts[index].bytes) {
      // [CHAL-3] [CHAL-6] [DEC-49]
      return salts[index].redeemed.insert(response.counter).inserted
    }
    return false
  }

  // [CHAL-9]
  /// `mac_d = HASH(d || source address || salt)[0..<16]`
  private func mac(_ counter: UInt64, source: Address, salt: [UInt8]) -> [UInt8] {
    Array(crypto.hash(bigEndian(counter) + source.bytes, salt)[0..<16])
  }

  /// Replaces salts that are too old. It runs only when a salt is needed, so an idle Bob draws no
  /// random bytes.
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

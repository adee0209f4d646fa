// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 6: Noise XKhfs+psk2. One function writes each of the three messages, and the one below
// reads it, token by token in the order of the text. The values that a side needs for the next
// message are returned.

/// The values that Alice keeps between X1 and X2.
struct WrittenX1 {
  /// X1 without the challenge response, 1717 bytes.
  let packet: [UInt8]
  /// `(hk_toAlice, hk_toBob)`, derived once and never changed.
  let headerKeys: KeyPair
  fileprivate let noise: Noise
  fileprivate let x: any AgreementPrivateKey
  fileprivate let d: any DecapsulationKey

  // [PKT-7]
  /// The packet-nonce counter: "last 8 bytes of X1's final tag" (section 4).
  var counter: UInt64 { integer(packet.suffix(8)) }
}

/// The values that Bob has after X1.
struct ReadX1 {
  let kidA: KeyID
  /// The fingerprints that Alice offers, 32 bytes each.
  let rf1, rf2: [UInt8]
  let headerKeys: KeyPair
  fileprivate let noise: Noise
  fileprivate let x: any AgreementPublicKey
  fileprivate let e: [UInt8]
}

/// The values that Bob keeps between X2 and X3.
struct WrittenX2 {
  let packet: [UInt8]
  let kidB: KeyID
  /// The ratchet state whose key was mixed in.
  let used: RatchetState
  fileprivate let noise: Noise
  fileprivate let y: any AgreementPrivateKey

  // [PKT-7]
  /// The packet-nonce counter: "last 3 bytes of X2's final tag" (section 4).
  var counter: UInt64 { integer(packet.suffix(3)) }
}

/// The values that Alice has after X2.
struct ReadX2 {
  let kidB: KeyID
  let used: RatchetState
  fileprivate let noise: Noise
  fileprivate let y: any AgreementPublicKey
}

/// The values that Bob has after X3.
struct ReadX3 {
  /// S_A.
  let alice: any AgreementPublicKey
  let identity: [UInt8]
  let outcome: Outcome
}

/// The three messages. Pre-message: Bob's static key. Prologue: Alice's key id.
enum XK {
  /// "init XK; MixHash(kid_A); MixHash(S_B)"
  private static func start(_ kidA: KeyID, bob: PublicKey, profile: ReferencePeer.Profile, crypto: Primitives)
    -> Noise
  {
    var noise = Noise(profile.xkName, crypto: crypto)
    // [XK-3]
    noise.mixHash(bigEndian(kidA))
    noise.mixHash(bob.array)
    return noise
  }

  // MARK: X1, Alice → Bob

  // [XK-4]
  static func writeX1(
    kidA: KeyID, to bob: any AgreementPublicKey, offering pair: RatchetPair, profile: ReferencePeer.Profile,
    crypto: Primitives
  ) throws(NotAuthentic) -> WrittenX1 {
    var noise = start(kidA, bob: bob.encoded, profile: profile, crypto: crypto)
    // e
    let x = crypto.provider.generateAgreementKey()
    noise.e(x.publicKey)
    // es
    try noise.dh(x, bob)
    // e1
    let d = crypto.provider.generateEncapsulationKey(for: profile.kem)
    let e1 = noise.encryptAndHash(nonce(0, 0), d.encapsulationKey)
    // payload: rf1 || (rf2 or 0^32)
    // [DEC-62] [XK-4]
    let rf1 = pair.state1.fingerprint.bytes
    let rf2 = pair.state2?.fingerprint.bytes ?? [UInt8](repeating: 0, count: 32)
    let payload = noise.encryptAndHash(nonce(0, 1), rf1 + rf2)
    // [NOISE-12] [NOISE-15] [XK-5] [XK-6]
    return WrittenX1(
      packet: bigEndian(kidA) + x.publicKey.array + e1 + payload, headerKeys: noise.getAsk("ASKH"), noise: noise, x: x,
      d: d)
  }

  // [XK-4]
  static func readX1(
    _ packet: [UInt8], bob: any AgreementPrivateKey, profile: ReferencePeer.Profile, crypto: Primitives
  ) throws(NotAuthentic) -> ReadX1 {
    let kidA = KeyID(integer(packet[0..<4]))
    var noise = start(kidA, bob: bob.publicKey, profile: profile, crypto: crypto)
    // e
    let x = try crypto.publicKey(Array(packet[4..<53]))
    noise.e(x.encoded)
    // es
    try noise.dh(bob, x)
    // e1
    // [XK-9]
    let e = try noise.decryptAndHash(nonce(0, 0), Array(packet[53..<1637]))
    // payload
    let fingerprints = try noise.decryptAndHash(nonce(0, 1), Array(packet[1637..<1717]))
    // [NOISE-15] [XK-5]
    return ReadX1(
      kidA: kidA, rf1: Array(fingerprints[0..<32]), rf2: Array(fingerprints[32..<64]),
      headerKeys: noise.getAsk("ASKH"), noise: noise, x: x, e: e)
  }

  // MARK: X2, Bob → Alice

  // [XK-15]
  static func writeX2(
    to x1: ReadX1, using used: RatchetState, _ profile: ReferencePeer.Profile, newKeyID: () -> KeyID
  ) throws(NotAuthentic) -> WrittenX2 {
    var noise = x1.noise
    let crypto = noise.crypto
    // e
    let y = crypto.provider.generateAgreementKey()
    noise.e(y.publicKey)
    // ee
    try noise.dh(y, x1.x)
    // ekem1
    let (ct, kk) = try crypto.encapsulate(to: x1.e, profile.kem)
    let ekem1 = noise.encryptAndHash(nonce(1, 0), ct)
    noise.mixKey(kk)
    // psk
    // [XK-16]
    noise.mixKeyAndHash(used.keyBytes)
    // payload
    let kidB = newKeyID()
    let payload = noise.encryptAndHash(nonce(1, 0), bigEndian(kidB))
    return WrittenX2(packet: y.publicKey.array + ekem1 + payload, kidB: kidB, used: used, noise: noise, y: y)
  }

  // [XK-15]
  /// "Alice tries the psk in this order": the candidates that the caller gives.
  static func readX2(
    _ packet: [UInt8], answering x1: WrittenX1, trying candidates: [RatchetState]
  ) throws(NotAuthentic) -> ReadX2 {
    var noise = x1.noise
    let crypto = noise.crypto
    // e
    let y = try crypto.publicKey(Array(packet[0..<49]))
    noise.e(y.encoded)
    // ee
    try noise.dh(x1.x, y)
    // ekem1
    let ct = try noise.decryptAndHash(nonce(1, 0), Array(packet[49..<1633]))
    noise.mixKey(try crypto.decapsulate(ct, with: x1.d))
    for candidate in candidates {
      var attempt = noise
      // psk
      // [XK-16] [XK-19]
      attempt.mixKeyAndHash(candidate.keyBytes)
      // payload
      guard let payload = try? attempt.decryptAndHash(nonce(1, 0), Array(packet[1633..<1653])) else { continue }
      return ReadX2(kidB: try keyID(payload), used: candidate, noise: attempt, y: y)
    }
    // [XK-21]
    throw NotAuthentic()
  }

  // MARK: X3, Alice → Bob

  // [XK-22]
  static func writeX3(
    after x2: ReadX2, alice: any AgreementPrivateKey, identity: [UInt8]
  ) throws(NotAuthentic) -> (packet: [UInt8], outcome: Outcome) {
    var noise = x2.noise
    // s
    let s = noise.encryptAndHash(nonce(2, 1), alice.publicKey.array)
    // se
    try noise.dh(alice, x2.y)
    // payload
    let payload = noise.encryptAndHash(nonce(2, 0), identity)
    return (s + payload, Outcome(noise, used: x2.used))
  }

  // [XK-22] [XK-27]
  /// `packet` has at least 81 bytes.
  static func readX3(_ packet: [UInt8], answering x2: WrittenX2) throws(NotAuthentic) -> ReadX3 {
    var noise = x2.noise
    // s
    let s = try noise.decryptAndHash(nonce(2, 1), Array(packet[0..<65]))
    let alice = try noise.crypto.publicKey(s)
    // se
    try noise.dh(x2.y, alice)
    // payload
    let identity = try noise.decryptAndHash(nonce(2, 0), Array(packet[65...]))
    return ReadX3(alice: alice, identity: identity, outcome: Outcome(noise, used: x2.used))
  }
}

/// Reads a key id in a payload. Zero is not a key id (section 4), because no peer could be reached
/// by it.
func keyID(_ payload: [UInt8]) throws(NotAuthentic) -> KeyID {
  let keyID = KeyID(integer(payload))
  // [DEC-20]
  guard keyID != 0 else { throw NotAuthentic() }
  return keyID
}

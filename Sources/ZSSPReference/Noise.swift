// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 3: Noise, with KBKDF instead of HKDF.

/// The symmetric state of a handshake. Copies are independent, so several pre-shared keys can be
/// tried.
struct Noise {
  let crypto: Primitives
  /// Chaining key and hash, 64 bytes each.
  private(set) var ck, h: [UInt8]
  /// Cipher key, 32 bytes.
  private var k = [UInt8](repeating: 0, count: 32)

  /// "Protocol names, padded with zero bytes to 64 (so h and ck start as the padded name itself)."
  init(_ protocolName: String, crypto: Primitives) {
    self.crypto = crypto
    // [NOISE-1]
    let name = Array(protocolName.utf8)
    h = name + [UInt8](repeating: 0, count: 64 - name.count)
    ck = h
  }

  // [NOISE-2]
  /// `h = HASH(h || d)`
  mutating func mixHash(_ d: [UInt8]) { h = crypto.hash(h, d) }

  // [NOISE-3]
  /// `(ck, t) = KBKDF(m, "ZSSP", ck, 2)`, `k = t[0..<32]`
  mutating func mixKey(_ m: [UInt8]) {
    let outputs = crypto.kbkdf(m, label: "ZSSP", context: ck, count: 2)
    ck = outputs[0]
    k = Array(outputs[1][0..<32])
  }

  // [NOISE-4]
  /// `(ck, t, u) = KBKDF(m, "ZSSP", ck, 3)`, MixHash(t), `k = u[0..<32]`
  mutating func mixKeyAndHash(_ m: [UInt8]) {
    let outputs = crypto.kbkdf(m, label: "ZSSP", context: ck, count: 3)
    ck = outputs[0]
    mixHash(outputs[1])
    k = Array(outputs[2][0..<32])
  }

  // [NOISE-5] [NOISE-9]
  /// `c = AEAD(k, n, aad: h, p)`, MixHash(c)
  mutating func encryptAndHash(_ n: Nonce, _ p: [UInt8]) -> [UInt8] {
    let c = crypto.seal(k, nonce: n, aad: h, plaintext: p)
    mixHash(c)
    return c
  }

  // [NOISE-6] [NOISE-9]
  /// "The inverse; MixHash is over the ciphertext and tag as received."
  mutating func decryptAndHash(_ n: Nonce, _ c: [UInt8]) throws(NotAuthentic) -> [UInt8] {
    let p = try crypto.open(k, nonce: n, aad: h, message: c)
    mixHash(c)
    return p
  }

  // [NOISE-10]
  /// "Every `e` token is MixHash(e) then MixKey(e)", because psk modifiers are in use.
  mutating func e(_ key: PublicKey) {
    mixHash(key.array)
    mixKey(key.array)
  }

  // [NOISE-11]
  /// A DH token: MixKey(shared secret).
  mutating func dh(_ own: any AgreementPrivateKey, _ peer: any AgreementPublicKey) throws(NotAuthentic) {
    mixKey(try crypto.dh(own, peer))
  }

  // [NOISE-7]
  /// `Split()`: `(a, b) = KBKDF("", "ZSSP", ck, 2)`, each cut to 32
  func split() -> KeyPair { pair([], label: "ZSSP") }

  // [NOISE-8]
  /// `GetAsk(label)`: `(a, b) = KBKDF(h, label, ck, 2)`, each cut to 32
  func getAsk(_ label: String) -> KeyPair { pair(h, label: label) }

  private func pair(_ key: [UInt8], label: String) -> KeyPair {
    let outputs = crypto.kbkdf(key, label: label, context: ck, count: 2)
    return KeyPair(first: Array(outputs[0][0..<32]), second: Array(outputs[1][0..<32]))
  }
}

/// Two derived keys, 32 bytes each.
struct KeyPair {
  let first, second: [UInt8]

  // [NOISE-13]
  /// "The first key protects packets towards the initiator of that handshake, the second those
  /// towards its responder." These are the keys of one of the two.
  func seen(byInitiator: Bool) -> (send: [UInt8], receive: [UInt8]) {
    byInitiator ? (second, first) : (first, second)
  }
}

/// The values that both sides have after X3, and after K2 (sections 6 and 7).
struct Outcome {
  /// The ratchet state for the next handshake.
  let ratchet: RatchetState
  /// Key-exchange keys and transport keys.
  let kek, nk: KeyPair

  /// `(rk', rf') = GetAsk("ASKR")`, `(kek) = GetAsk("ASKK")`, `(nk) = Split()`. "The new ratchet
  /// state's chain length is that of the state used, plus one."
  init(_ noise: Noise, used: RatchetState) {
    // [NOISE-12] [XK-23]
    let askr = noise.getAsk("ASKR")
    // [XK-24]
    ratchet = RatchetState(key: askr.first, fingerprint: askr.second, chainLength: used.chainLength &+ 1)
    kek = noise.getAsk("ASKK")
    nk = noise.split()
  }
}

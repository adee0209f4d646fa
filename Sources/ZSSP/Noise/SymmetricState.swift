// SPDX-License-Identifier: Apache-2.0

/// The error of a value that is not authentic: a tag, a point, or a key (sections 1 and 6).
package struct AuthenticationFailure: Error {}

/// The symmetric state of a Noise handshake, with KBKDF instead of HKDF (section 3).
///
/// There is no implicit nonce: every encryption names its own. Copies are independent, so several
/// pre-shared keys can be tried on one message.
package struct SymmetricState: Sendable {
  private let provider: any CryptoProvider
  /// `h`, the hash of the transcript.
  package private(set) var hash: Digest
  /// `ck`
  package private(set) var chainingKey: Secret
  /// `k`, the cipher key; zeros until the first MixKey.
  private var cipherKey: Secret
  #if KeyLog
    /// The keys and hashes of all messages so far.
    package private(set) var sealings: [KeyLog.Sealing] = []
  #endif

  /// Creates the state with `h` and `ck` set to the protocol's name, padded to 64 bytes.
  package init(protocolName: StaticString, provider: any CryptoProvider) {
    self.provider = provider
    func writeName(_ bytes: inout MutableRawSpan) {
      protocolName.withUTF8Buffer { name in
        for index in 0..<name.count { bytes.store(unsafe name[index], at: index) }
      }
    }
    // [NOISE-1]
    hash = Digest { writeName(&$0) }
    chainingKey = Secret(count: Digest.size) { writeName(&$0) }
    cipherKey = .zeros(PacketSize.key)
  }

  // [NOISE-2]
  /// `h = HASH(h || data)`
  package mutating func mixHash(_ data: RawSpan) { hash = provider.hash(hash.bytes, data) }

  // [NOISE-3]
  /// `(ck, t) = KBKDF(material, "ZSSP", ck, 2)`, `k = t[0..<32]`
  package mutating func mixKey(_ material: RawSpan) {
    let outputs = KBKDF.derive(2, key: material, label: "ZSSP", context: chainingKey.bytes, provider: provider)
    chainingKey = outputs[0]
    cipherKey = outputs[1].prefix(PacketSize.key)
  }

  // [NOISE-4]
  /// `(ck, t, u) = KBKDF(material, "ZSSP", ck, 3)`, MixHash(t), `k = u[0..<32]`
  package mutating func mixKeyAndHash(_ material: RawSpan) {
    let outputs = KBKDF.derive(3, key: material, label: "ZSSP", context: chainingKey.bytes, provider: provider)
    chainingKey = outputs[0]
    let temporary = outputs[1]
    mixHash(temporary.bytes)
    cipherKey = outputs[2].prefix(PacketSize.key)
  }

  // [NOISE-10]
  /// The `e` token. As psk modifiers are in use, it is MixHash and then MixKey.
  package mutating func mixEphemeral(_ key: PublicKey) {
    mixHash(key.bytes)
    mixKey(key.bytes)
  }

  // [NOISE-5] [NOISE-9]
  /// `c = AEAD(k, nonce, aad: h, plaintext)`, MixHash(c); c is the ciphertext and then the tag.
  package mutating func encryptAndHash(_ plaintext: RawSpan, nonce: Nonce) -> [UInt8] {
    #if KeyLog
      sealings.append(KeyLog.Sealing(hash: hash, key: cipherKey))
    #endif
    var message = [UInt8](repeating: 0, count: plaintext.byteCount + PacketSize.tag)
    let key = provider.packetKey(cipherKey)
    message.withMutableBytes { key.seal(plaintext, nonce: nonce, authenticating: hash.bytes, into: &$0) }
    mixHash(message.rawBytes)
    return message
  }

  // [NOISE-6] [NOISE-9]
  /// The inverse. MixHash is over the message as received. `message` has at least the size of a
  /// tag.
  package mutating func decryptAndHash(_ message: RawSpan, nonce: Nonce) throws(AuthenticationFailure) -> [UInt8] {
    #if KeyLog
      sealings.append(KeyLog.Sealing(hash: hash, key: cipherKey))
    #endif
    var plaintext = message.array
    let key = provider.packetKey(cipherKey)
    let authentic = plaintext.withMutableBytes { key.open(&$0, nonce: nonce, authenticating: hash.bytes) }
    guard authentic else { throw AuthenticationFailure() }
    mixHash(message)
    plaintext.removeLast(PacketSize.tag)
    return plaintext
  }

  // [NOISE-7]
  /// `(a, b) = KBKDF("", "ZSSP", ck, 2)`, each cut to 32: the transport keys.
  package func split() -> DirectionalKeys {
    pair(key: [UInt8]().rawBytes, label: "ZSSP")
  }

  // [NOISE-8]
  /// `(a, b) = KBKDF(h, label, ck, 2)`, each cut to 32: additional symmetric keys.
  package func additionalKeys(_ label: StaticString) -> DirectionalKeys {
    pair(key: hash.bytes, label: label)
  }

  // [NOISE-12]
  /// GetAsk("ASKR"): the new ratchet key and its fingerprint.
  package func ratchet() -> (key: Secret, fingerprint: Fingerprint) {
    let outputs = KBKDF.derivePair(key: hash.bytes, label: "ASKR", context: chainingKey.bytes, provider: provider)
    return (outputs.first, Fingerprint(outputs.second.bytes))
  }

  private func pair(key: RawSpan, label: StaticString) -> DirectionalKeys {
    let outputs = KBKDF.derivePair(key: key, label: label, context: chainingKey.bytes, provider: provider)
    return DirectionalKeys(toInitiator: outputs.first, toResponder: outputs.second)
  }
}

/// A key for each direction of a handshake. Of every derived pair the first protects what goes
/// towards the initiator of that handshake (section 3).
package struct DirectionalKeys: Sendable {
  package let toInitiator: Secret
  package let toResponder: Secret

  // [NOISE-13]
  /// The key for what the given side sends.
  package func sending(_ role: Role) -> Secret { role == .initiator ? toResponder : toInitiator }
  // [NOISE-13]
  /// The key for what the given side receives.
  package func receiving(_ role: Role) -> Secret { role == .initiator ? toInitiator : toResponder }
}

/// The side of a handshake.
public enum Role: Sendable, Hashable {
  /// The side that sends the first message; Alice in the specification.
  case initiator
  /// The side that answers it; Bob in the specification.
  case responder
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Sections 1 and 2: the primitives, on arrays of bytes. Only this file calls a crypto provider, so
// everything above it reads like the text of the specification. Keys are plain arrays here and are
// not wiped.

/// The error of a value that is not authentic. "A received public key that is not a valid point
/// MUST fail authentication, as must an invalid KEM key" (section 1), so there is one error for
/// all.
struct NotAuthentic: Error {}

/// The functions of the table in section 1, and KBKDF.
struct Primitives {
  let provider: any CryptoProvider

  // MARK: HASH, HMAC, KBKDF

  // [PRIM-1]
  /// `HASH(first || second)`, 64 bytes.
  func hash(_ first: [UInt8], _ second: [UInt8] = []) -> [UInt8] {
    let digest = provider.hash(first.span.bytes, second.span.bytes)
    return digest.bytes.withUnsafeBytes { Array($0) }
  }

  /// Section 2: `output_i = HMAC(key, byte(i) || label || 0x00 || context || uint16(512·n))`, i =
  /// 1…n.
  func kbkdf(_ key: [UInt8], label: String, context: [UInt8], count n: Int) -> [[UInt8]] {
    let hmac = provider.authenticator(key: key.span.bytes)
    return (1...n).map { i in
      // [KDF-1] [PRIM-2]
      let input = [UInt8(i)] + Array(label.utf8) + [0] + context + bigEndian(UInt16(512 * n))
      let code = hmac.authenticationCode(for: input.span.bytes)
      return code.bytes.withUnsafeBytes { Array($0) }
    }
  }

  // MARK: AEAD, PRP

  // [PRIM-3]
  /// Encrypts with AES-256-GCM. Returns the ciphertext, then the tag.
  func seal(_ key: [UInt8], nonce: Nonce, aad: [UInt8] = [], plaintext: [UInt8]) -> [UInt8] {
    var output = [UInt8](repeating: 0, count: plaintext.count + 16)
    var elements = output.mutableSpan
    var bytes = elements.mutableBytes
    provider.packetKey(secret(key)).seal(
      plaintext.span.bytes, nonce: nonce, authenticating: aad.span.bytes, into: &bytes)
    return output
  }

  /// Decrypts with AES-256-GCM.
  func open(
    _ key: [UInt8], nonce: Nonce, aad: [UInt8] = [], message: [UInt8]
  ) throws(NotAuthentic) -> [UInt8] {
    guard message.count >= 16 else { throw NotAuthentic() }
    var output = message
    var elements = output.mutableSpan
    var bytes = elements.mutableBytes
    guard provider.packetKey(secret(key)).open(&bytes, nonce: nonce, authenticating: aad.span.bytes) else {
      throw NotAuthentic()
    }
    return Array(output.dropLast(16))
  }

  // [PRIM-4]
  /// Encrypts one AES-256 block.
  func encrypt(_ key: [UInt8], block: [UInt8]) -> [UInt8] {
    var block = block
    var elements = block.mutableSpan
    var bytes = elements.mutableBytes
    provider.headerKey(secret(key)).encrypt(&bytes)
    return block
  }

  /// Decrypts one AES-256 block.
  func decrypt(_ key: [UInt8], block: [UInt8]) -> [UInt8] {
    var block = block
    var elements = block.mutableSpan
    var bytes = elements.mutableBytes
    provider.headerKey(secret(key)).decrypt(&bytes)
    return block
  }

  // MARK: DH, KEM, randomness

  // [PRIM-7]
  /// Decodes and checks a public key from a packet.
  func publicKey(_ encoded: [UInt8]) throws(NotAuthentic) -> any AgreementPublicKey {
    guard let key = PublicKey(encoded) else { throw NotAuthentic() }
    do { return try provider.agreementPublicKey(key) } catch { throw NotAuthentic() }
  }

  // [PRIM-5]
  /// `DH(own, peer)`, 48 bytes.
  func dh(_ own: any AgreementPrivateKey, _ peer: any AgreementPublicKey) throws(NotAuthentic) -> [UInt8] {
    do {
      let shared = try own.sharedSecret(with: peer)
      return shared.bytes.withUnsafeBytes { Array($0) }
    } catch { throw NotAuthentic() }
  }

  // [PRIM-6] [PRIM-8]
  /// `KEMEnc(E)`: the ciphertext and the shared secret.
  func encapsulate(
    to key: [UInt8], _ kem: KEM
  ) throws(NotAuthentic) -> (ciphertext: [UInt8], shared: [UInt8]) {
    do {
      let made = try provider.encapsulate(to: key.span.bytes, for: kem)
      let shared = made.sharedSecret
      return (made.ciphertext, shared.bytes.withUnsafeBytes { Array($0) })
    } catch { throw NotAuthentic() }
  }

  /// Returns the shared secret of a ciphertext.
  func decapsulate(_ ciphertext: [UInt8], with key: any DecapsulationKey) throws(NotAuthentic) -> [UInt8] {
    do {
      let shared = try key.decapsulate(ciphertext.span.bytes)
      return shared.bytes.withUnsafeBytes { Array($0) }
    } catch { throw NotAuthentic() }
  }

  /// Returns `count` random bytes.
  func random(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var elements = bytes.mutableSpan
    var raw = elements.mutableBytes
    provider.fillRandom(&raw)
    return bytes
  }

  /// Returns a key in the provider's type.
  private func secret(_ bytes: [UInt8]) -> Secret { Secret(copying: bytes.span.bytes) }
}

// MARK: Integers on the wire are big-endian

// [PKT-1]
/// Returns the bytes of an integer.
func bigEndian(_ value: some FixedWidthInteger & UnsignedInteger) -> [UInt8] {
  (0..<value.bitWidth / 8).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

// [PKT-1]
/// Returns the integer of at most eight bytes.
func integer(_ bytes: some Sequence<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

// SPDX-License-Identifier: Apache-2.0
public import ZSSP
import ZSSPRandom

/// A provider that is **not cryptography**. It has the sizes and the algebra of the real
/// primitives, but not their strength. It makes handshakes about a hundred times cheaper, for long
/// simulations.
///
/// Key agreement commutes, decapsulation inverts encapsulation, and tags depend on every byte, the
/// key and the nonce: the state machines need no more. Anyone can compute all secrets. The type
/// belongs to the simulator and must never be used on a network.
public struct StandInCrypto: CryptoProvider {
  /// Makes the provider. Its randomness is fixed; a simulation wraps it in a seeded generator.
  public init() {}

  /// The name, which says that it is not secure.
  public var name: String { "stand-in (not secure)" }

  /// Writes the same bytes each time. A simulation draws from its seed instead.
  public func fillRandom(_ bytes: inout MutableRawSpan) {
    for index in 0..<bytes.byteCount { bytes.store(UInt8(truncatingIfNeeded: 37 &* index &+ 11), at: index) }
  }

  /// Returns the output of a mixing function with 128 bits of state, extended to 64 bytes.
  public func hash(_ first: RawSpan, _ second: RawSpan) -> Digest {
    var mixer = Mixer(seed: 0x5A53_5350)
    mixer.absorb(first, second)
    return Digest { mixer.write(to: &$0) }
  }

  /// Returns the same function, initialised with the key.
  public func authenticator(key: RawSpan) -> any MessageAuthenticator { StandInAuthenticator(key: key) }

  /// Makes a key from 8 of the 48 bytes of ``fillRandom(_:)``.
  public func generateAgreementKey() -> any AgreementPrivateKey {
    StandInAgreementKey(random(48).bytes)
  }

  /// Parses a private key of 48 bytes.
  ///
  /// - Throws: `CryptoFailure` for another size.
  public func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
    guard privateBytes.byteCount == 48 else { throw CryptoFailure("not 48 bytes") }
    return StandInAgreementKey(privateBytes)
  }

  /// Parses a public key, and checks that ``generateAgreementKey()`` can make it.
  ///
  /// - Throws: `CryptoFailure`.
  public func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
    try StandInPublicKey(key)
  }

  /// Makes a key from a random number.
  public func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
    StandInDecapsulationKey(seed: randomInteger(UInt64.self))
  }

  /// Returns a random number as ciphertext, and its hash with the key as secret.
  ///
  /// - Throws: `CryptoFailure` for a key of another size than 1568 bytes.
  public func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
    guard encapsulationKey.byteCount == KEM.encapsulationKeySize else { throw CryptoFailure("not 1568 bytes") }
    var ciphertext = [UInt8](repeating: 0, count: KEM.ciphertextSize)
    let nonce = randomInteger(UInt64.self)
    ciphertext.withMutableBytes { $0.store(nonce, at: 0) }
    let secret = standInSharedSecret(encapsulationKey, ciphertext: ciphertext.rawBytes)
    return Encapsulation(ciphertext: ciphertext, sharedSecret: secret)
  }

  /// Returns a key with a keystream and a tag of 128 bits.
  public func packetKey(_ key: Secret) -> any PacketKey { StandInPacketKey(key) }

  /// Returns a key with a small Feistel network on 16 bytes.
  public func headerKey(_ key: Secret) -> any HeaderKey { StandInHeaderKey(key) }
}

/// A mixing function that absorbs bytes, eight at a time, and returns any number of them.
struct Mixer {
  private var left: UInt64
  private var right: UInt64
  private var count: UInt64 = 0

  init(seed: UInt64) {
    left = SplitMix64.mix(seed)
    right = SplitMix64.mix(seed ^ 0x6A09_E667_F3BC_C908)
  }

  mutating func absorb(_ word: UInt64) {
    left = (left ^ word) &* 0x9FB2_1C65_1E98_DF25
    left ^= left >> 29
    right = (right &+ word ^ left) &* 0xD6E8_FEB8_6659_FD93
    right ^= right >> 32
  }

  /// Absorbs all bytes of both spans as one string.
  mutating func absorb(_ first: RawSpan, _ second: RawSpan) {
    absorb(first)
    absorb(second)
    absorb(count)
  }

  /// Absorbs bytes. The last word is padded with zeros, and the boundary to later input is not
  /// marked.
  mutating func absorb(_ bytes: RawSpan) {
    count &+= UInt64(bytes.byteCount)
    bytes.withUnsafeBytes { bytes in
      var offset = 0
      while offset + 8 <= bytes.count {
        absorb(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian)
        offset += 8
      }
      guard offset < bytes.count else { return }
      var rest: UInt64 = 0
      while offset < bytes.count {
        rest = rest << 8 | UInt64(bytes[offset])
        offset += 1
      }
      absorb(rest)
    }
  }

  /// Returns a word of the output.
  func word(_ index: Int) -> UInt64 {
    SplitMix64.mix(left &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15) ^ SplitMix64.mix(right &+ UInt64(index))
  }

  /// Fills `bytes`, whose size must be a multiple of 8.
  func write(to bytes: inout MutableRawSpan) {
    for index in 0..<bytes.byteCount / 8 { bytes.store(word(index), at: 8 * index) }
  }
}

/// The stand-in for HMAC.
struct StandInAuthenticator: MessageAuthenticator {
  private let keyed: Mixer

  init(key: RawSpan) {
    var mixer = Mixer(seed: 0x484D_4143)
    mixer.absorb(key, RawSpan())
    keyed = mixer
  }

  func authenticationCode(for message: RawSpan) -> Secret {
    var mixer = keyed
    mixer.absorb(message, RawSpan())
    return Secret(count: Digest.size) { mixer.write(to: &$0) }
  }
}

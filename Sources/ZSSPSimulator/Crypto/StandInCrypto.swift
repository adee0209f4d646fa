// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// **Not cryptography.** A provider with the sizes and the algebra of the real primitives and none of their
/// strength, which makes handshakes about a hundred times cheaper, for long simulations.
///
/// Key agreement commutes, decapsulation inverts encapsulation, tags depend on every byte, on the key and on the nonce:
/// all that the state machine needs. Everything can be computed by anyone who looks. The type is part of the
/// simulator and must never meet a network.
public struct StandInCrypto: CryptoProvider {
  /// The provider. Its randomness is fixed; a simulation puts a seeded generator in front of it.
  public init() {}

  /// Says what it is.
  public var name: String { "stand-in (not secure)" }

  /// Writes bytes that are the same every time. A simulation draws from its seed instead.
  public func fillRandom(_ bytes: inout MutableRawSpan) {
    for index in 0..<bytes.byteCount { bytes.store(UInt8(truncatingIfNeeded: 37 &* index &+ 11), at: index) }
  }

  /// A mixing function of 128 bits of state, stretched to 64 bytes.
  public func hash(_ first: RawSpan, _ second: RawSpan) -> Digest {
    var mixer = Mixer(seed: 0x5A53_5350)
    mixer.absorb(first, second)
    return Digest { mixer.write(to: &$0) }
  }

  /// The same function, begun with the key.
  public func authenticator(key: RawSpan) -> any MessageAuthenticator { StandInAuthenticator(key: key) }

  /// A number made of 8 of the 48 bytes that ``fillRandom(_:)`` gives.
  public func generateAgreementKey() -> any AgreementPrivateKey {
    StandInAgreementKey(random(48).bytes)
  }

  /// The private key of 48 bytes.
  public func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
    guard privateBytes.byteCount == 48 else { throw CryptoFailure("not 48 bytes") }
    return StandInAgreementKey(privateBytes)
  }

  /// Checks that the encoding is one that ``generateAgreementKey()`` makes.
  public func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
    try StandInPublicKey(key)
  }

  /// A key that is a random number.
  public func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
    StandInDecapsulationKey(seed: randomInteger(UInt64.self))
  }

  /// A random number as ciphertext, and a hash of it and the key as secret.
  public func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
    guard encapsulationKey.byteCount == KEM.encapsulationKeySize else { throw CryptoFailure("not 1568 bytes") }
    var ciphertext = [UInt8](repeating: 0, count: KEM.ciphertextSize)
    let nonce = randomInteger(UInt64.self)
    ciphertext.withMutableBytes { $0.store(nonce, at: 0) }
    let secret = standInSharedSecret(encapsulationKey, ciphertext.rawBytes)
    return Encapsulation(ciphertext: ciphertext, sharedSecret: secret)
  }

  /// A keystream and a tag of 128 bits.
  public func packetKey(_ key: Secret) -> any PacketKey { StandInPacketKey(key) }

  /// A small Feistel network on 16 bytes.
  public func headerKey(_ key: Secret) -> any HeaderKey { StandInHeaderKey(key) }
}

/// Takes bytes in, eight at a time, and gives out as many as wanted.
struct Mixer {
  private var left: UInt64
  private var right: UInt64
  private var count: UInt64 = 0

  init(seed: UInt64) {
    left = SimulationRandom.mix(seed)
    right = SimulationRandom.mix(seed ^ 0x6A09_E667_F3BC_C908)
  }

  mutating func absorb(_ word: UInt64) {
    left = (left ^ word) &* 0x9FB2_1C65_1E98_DF25
    left ^= left >> 29
    right = (right &+ word ^ left) &* 0xD6E8_FEB8_6659_FD93
    right ^= right >> 32
  }

  /// Takes all bytes of both spans as one string.
  mutating func absorb(_ first: RawSpan, _ second: RawSpan) {
    absorb(first)
    absorb(second)
    absorb(count)
  }

  /// Takes bytes in, the last word padded with zeros. The boundary to what follows is not marked.
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

  /// Word `index` of the output.
  func word(_ index: Int) -> UInt64 {
    SimulationRandom.mix(left &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15) ^ SimulationRandom.mix(right &+ UInt64(index))
  }

  /// Fills `bytes`, whose size is a multiple of 8.
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

// SPDX-License-Identifier: Apache-2.0
import Synchronization
import ZSSP
import ZSSPRandom

/// Cryptography for tests of everything but cryptography: quick, repeatable, and WORTHLESS AS
/// SECURITY.
///
/// Every primitive keeps its shape, that is sizes, who can compute what from what, and that changed
/// bytes are noticed; none resists anyone who tries. "Agreement" is multiplication modulo 2^61 − 1,
/// "hash" mixes 64-bit words.
final class FastCrypto: CryptoProvider {
  private let generator: Mutex<SplitMix64>

  init(seed: UInt64) { generator = Mutex(SplitMix64(seed: seed)) }

  var name: String { "worthless" }

  func fillRandom(_ bytes: inout MutableRawSpan) {
    bytes.withUnsafeMutableBytes { bytes in
      generator.withLock { generator in
        for start in stride(from: 0, to: bytes.count, by: 8) {
          let word = generator.next()
          for index in start..<min(start + 8, bytes.count) {
            bytes[index] = UInt8(truncatingIfNeeded: word >> UInt64(8 * (index - start)))
          }
        }
      }
    }
  }

  private func randomScalar() -> UInt64 {
    while true {
      let scalar = generator.withLock { $0.next() } >> 3
      if scalar > 1, scalar < FastField.modulus { return scalar }
    }
  }

  func hash(_ first: RawSpan, _ second: RawSpan) -> Digest {
    var mixer = FastMixer()
    mixer.mix(first)
    mixer.mix(second)
    return Digest { mixer.write(to: &$0) }
  }

  func authenticator(key: RawSpan) -> any MessageAuthenticator { FastAuthenticator(key) }

  func generateAgreementKey() -> any AgreementPrivateKey { FastPrivateKey(randomScalar()) }

  func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
    guard privateBytes.byteCount == 48 else { throw CryptoFailure("size") }
    let scalar = privateBytes.load(UInt64.self, at: 40)
    guard scalar > 1, scalar < FastField.modulus else { throw CryptoFailure("range") }
    return FastPrivateKey(scalar)
  }

  func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
    let element = key.bytes.load(UInt64.self, at: 41)
    guard element > 0, element < FastField.modulus else { throw CryptoFailure("no element of the field") }
    return FastPublicKey(key, element)
  }

  func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey { FastDecapsulationKey(randomScalar()) }

  func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
    guard encapsulationKey.byteCount == KEM.encapsulationKeySize else { throw CryptoFailure("size") }
    let scalar = randomScalar()
    var ciphertext = [UInt8](repeating: 0, count: KEM.ciphertextSize)
    ciphertext.withMutableBytes { $0.store(FastField.product(scalar, FastField.generator), at: 0) }
    let shared = FastField.product(scalar, encapsulationKey.load(UInt64.self, at: 0) % FastField.modulus)
    return Encapsulation(ciphertext: ciphertext, sharedSecret: FastField.secret(shared, size: KEM.sharedSecretSize))
  }

  func packetKey(_ key: Secret) -> any PacketKey { FastPacketKey(key) }

  func headerKey(_ key: Secret) -> any HeaderKey { FastHeaderKey(key) }
}

/// Integers modulo the prime 2^61 − 1.
private enum FastField {
  static let modulus: UInt64 = 1 << 61 - 1
  static let generator: UInt64 = 0x0123_4567_89AB_CDEF

  static func product(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let (high, low) = left.multipliedFullWidth(by: right)
    return modulus.dividingFullWidth((high, low)).remainder
  }

  static func secret(_ value: UInt64, size: Int) -> Secret {
    Secret(count: size) { $0.store(value, at: size - 8) }
  }
}

/// Mixes words into two lanes.
private struct FastMixer {
  private var left: UInt64 = 0x6A09_E667_F3BC_C908
  private var right: UInt64 = 0xBB67_AE85_84CA_A73B

  mutating func mix(_ word: UInt64) {
    left = (left ^ word) &* 0x9E37_79B9_7F4A_7C15
    left ^= left >> 29
    right = (right &+ left) &* 0xD6E8_FEB8_6659_FD93
    right ^= right >> 32
  }

  /// The bytes and their number.
  mutating func mix(_ bytes: RawSpan) {
    bytes.withUnsafeBytes { bytes in
      var offset = 0
      while offset + 8 <= bytes.count {
        mix(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        offset += 8
      }
      while offset < bytes.count {
        mix(UInt64(bytes[offset]) | 0x100)
        offset += 1
      }
    }
  }

  func word(_ index: UInt64) -> UInt64 {
    var mixer = self
    mixer.mix(index)
    mixer.mix(index ^ 0x5555)
    return mixer.right
  }

  func write(to bytes: inout MutableRawSpan) {
    for offset in stride(from: 0, to: bytes.byteCount, by: 8) { bytes.store(word(UInt64(offset)), at: offset) }
  }
}

private final class FastAuthenticator: MessageAuthenticator {
  private var keyed = FastMixer()

  init(_ key: RawSpan) {
    keyed.mix(key)
    keyed.mix(1)
  }

  func authenticationCode(for message: RawSpan) -> Secret {
    var mixer = keyed
    mixer.mix(message)
    return Secret(count: 64) { mixer.write(to: &$0) }
  }
}

private final class FastPublicKey: AgreementPublicKey {
  let encoded: PublicKey
  let element: UInt64

  init(_ encoded: PublicKey, _ element: UInt64) {
    self.encoded = encoded
    self.element = element
  }
}

private final class FastPrivateKey: AgreementPrivateKey {
  private let scalar: UInt64
  let publicKey: PublicKey

  init(_ scalar: UInt64) {
    self.scalar = scalar
    var bytes = [UInt8](repeating: 0, count: PublicKey.size)
    bytes[0] = 2
    bytes.withMutableBytes { $0.store(FastField.product(scalar, FastField.generator), at: 41) }
    guard let key = PublicKey(bytes) else { preconditionFailure("an encoding begins with 2") }
    publicKey = key
  }

  func sharedSecret(with publicKey: any AgreementPublicKey) throws(CryptoFailure) -> Secret {
    guard let key = publicKey as? FastPublicKey else { throw CryptoFailure("a key of another provider") }
    return FastField.secret(FastField.product(scalar, key.element), size: 48)
  }
}

private final class FastDecapsulationKey: DecapsulationKey {
  private let scalar: UInt64
  let encapsulationKey: [UInt8]

  init(_ scalar: UInt64) {
    self.scalar = scalar
    var bytes = [UInt8](repeating: 0, count: KEM.encapsulationKeySize)
    bytes.withMutableBytes { $0.store(FastField.product(scalar, FastField.generator), at: 0) }
    encapsulationKey = bytes
  }

  func decapsulate(_ ciphertext: RawSpan) throws(CryptoFailure) -> Secret {
    guard ciphertext.byteCount == KEM.ciphertextSize else { throw CryptoFailure("size") }
    let element = ciphertext.load(UInt64.self, at: 0) % FastField.modulus
    return FastField.secret(FastField.product(scalar, element), size: KEM.sharedSecretSize)
  }
}

private final class FastPacketKey: PacketKey {
  private var keyed = FastMixer()

  init(_ key: Secret) { keyed.mix(key.bytes) }

  fileprivate func mixer(_ nonce: Nonce) -> FastMixer {
    var mixer = keyed
    mixer.mix(UInt64(nonce.high))
    mixer.mix(nonce.counter)
    return mixer
  }

  /// The keystream over the first `count` bytes.
  private func apply(_ mixer: FastMixer, to bytes: inout MutableRawSpan, count: Int) {
    bytes.withUnsafeMutableBytes { bytes in
      var offset = 0
      var word = mixer.word(0)
      while offset + 8 <= count {
        let value = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        bytes.storeBytes(of: value ^ word, toByteOffset: offset, as: UInt64.self)
        word = word &* 0x9E37_79B9_7F4A_7C15 &+ 1
        offset += 8
      }
      while offset < count {
        bytes[offset] ^= UInt8(truncatingIfNeeded: word >> UInt64(8 * (offset & 7)))
        offset += 1
      }
    }
  }

  fileprivate func tag(_ mixer: FastMixer, ciphertext: RawSpan, authenticating: RawSpan) -> (UInt64, UInt64) {
    var mixer = mixer
    mixer.mix(authenticating)
    mixer.mix(UInt64(authenticating.byteCount))
    mixer.mix(ciphertext)
    return (mixer.word(1), mixer.word(2))
  }

  func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan) {
    let mixer = mixer(nonce)
    let size = plaintext.byteCount
    output.write(plaintext, at: 0)
    apply(mixer, to: &output, count: size)
    let (high, low) = tag(mixer, ciphertext: output.bytes.extracting(0..<size), authenticating: authenticating)
    output.store(high, at: size)
    output.store(low, at: size + 8)
  }

  func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool {
    let mixer = mixer(nonce)
    let size = message.byteCount - 16
    let (high, low) = tag(mixer, ciphertext: message.bytes.extracting(0..<size), authenticating: authenticating)
    let isAuthentic =
      message.bytes.load(UInt64.self, at: size) == high && message.bytes.load(UInt64.self, at: size + 8) == low
    guard isAuthentic else { return false }
    apply(mixer, to: &message, count: size)
    return true
  }

  func makeStream() -> (any PacketStream)? { FastPacketStream(self) }
}

/// The packet key, byte by byte. It keeps the ciphertext for the tag.
private final class FastPacketStream: PacketStream {
  private let key: FastPacketKey
  private var direction = PacketDirection.sealing
  private var mixer = FastMixer()
  private var word: UInt64 = 0
  private var ciphertext: [UInt8] = []

  init(_ key: FastPacketKey) { self.key = key }

  func begin(_ direction: PacketDirection, nonce: Nonce) {
    self.direction = direction
    mixer = key.mixer(nonce)
    ciphertext = []
    word = mixer.word(0)
  }

  func update(_ input: RawSpan, into output: inout MutableRawSpan) {
    output.write(input, at: 0)
    update(&output)
  }

  func update(_ bytes: inout MutableRawSpan) {
    for offset in 0..<bytes.byteCount {
      let place = ciphertext.count & 7
      let old = bytes[byte: offset]
      let new = bytes[byte: offset] ^ UInt8(truncatingIfNeeded: word >> UInt64(8 * place))
      ciphertext.append(direction == .sealing ? new : old)
      bytes.store(new, at: offset)
      if place == 7 { word = word &* 0x9E37_79B9_7F4A_7C15 &+ 1 }
    }
  }

  func finish(writingTagTo tag: inout MutableRawSpan) {
    let written = ciphertext
    let (high, low) = key.tag(mixer, ciphertext: written.rawBytes, authenticating: RawSpan())
    tag.store(high, at: 0)
    tag.store(low, at: 8)
  }

  func finish(expecting tag: RawSpan) -> Bool {
    let written = ciphertext
    let (high, low) = key.tag(mixer, ciphertext: written.rawBytes, authenticating: RawSpan())
    return tag.byteCount == 16 && tag.load(UInt64.self, at: 0) == high && tag.load(UInt64.self, at: 8) == low
  }
}

private final class FastHeaderKey: HeaderKey {
  private var keyed = FastMixer()

  init(_ key: Secret) { keyed.mix(key.bytes) }

  func encrypt(_ block: inout MutableRawSpan) {
    for offset in [0, 8] {
      block.store(block.bytes.load(UInt64.self, at: offset) ^ keyed.word(UInt64(offset)), at: offset)
    }
  }

  func decrypt(_ block: inout MutableRawSpan) { encrypt(&block) }
}

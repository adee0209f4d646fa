// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPRandom

/// The multiplicative group modulo the prime 2^61 − 1, which replaces points and scalars.
private enum ToyGroup {
  static let prime: UInt64 = (1 << 61) - 1
  static let generator: UInt64 = 0x0123_4567_89AB_CDEF

  static func multiply(_ one: UInt64, _ other: UInt64) -> UInt64 {
    let (high, low) = one.multipliedFullWidth(by: other)
    return prime.dividingFullWidth((high, low)).remainder
  }
}

final class StandInAgreementKey: AgreementPrivateKey {
  private let scalar: UInt64
  let publicKey: PublicKey

  init(_ privateBytes: RawSpan) {
    scalar = 1 + privateBytes.load(UInt64.self, at: 0) % (ToyGroup.prime - 1)
    publicKey = StandInPublicKey.encode(ToyGroup.multiply(scalar, ToyGroup.generator))
  }

  func sharedSecret(with publicKey: any AgreementPublicKey) throws(CryptoFailure) -> Secret {
    guard let publicKey = publicKey as? StandInPublicKey else { throw CryptoFailure("a key of another provider") }
    let product = ToyGroup.multiply(scalar, publicKey.element)
    return Secret(count: 48) { $0.store(product, at: 40) }
  }
}

final class StandInPublicKey: AgreementPublicKey {
  let encoded: PublicKey
  let element: UInt64

  init(_ key: PublicKey) throws(CryptoFailure) {
    let bytes = key.bytes
    element = bytes.load(UInt64.self, at: 1)
    guard element != 0, element < ToyGroup.prime, key == Self.encode(element) else {
      throw CryptoFailure("not a point of the toy group")
    }
    encoded = key
  }

  /// Encodes an element. It comes first, so that keys are in the order of elements.
  static func encode(_ element: UInt64) -> PublicKey {
    var bytes = [UInt8](repeating: 0, count: PublicKey.size)
    bytes[0] = 2
    bytes.withMutableBytes { $0.store(element, at: 1) }
    guard let key = PublicKey(bytes) else { preconditionFailure("49 bytes that begin with 02 are a key") }
    return key
  }
}

final class StandInDecapsulationKey: DecapsulationKey {
  let encapsulationKey: [UInt8]

  init(seed: UInt64) {
    var key = [UInt8](repeating: 0, count: KEM.encapsulationKeySize)
    key.withMutableBytes { $0.store(seed, at: 0) }
    encapsulationKey = key
  }

  func decapsulate(_ ciphertext: RawSpan) throws(CryptoFailure) -> Secret {
    let key = encapsulationKey
    return standInSharedSecret(key.rawBytes, ciphertext: ciphertext)
  }
}

func standInSharedSecret(_ encapsulationKey: RawSpan, ciphertext: RawSpan) -> Secret {
  var mixer = Mixer(seed: 0x4B45_4D00)
  mixer.absorb(encapsulationKey, ciphertext)
  return Secret(count: KEM.sharedSecretSize) { mixer.write(to: &$0) }
}

final class StandInPacketKey: PacketKey {
  private let keyed: Mixer

  init(_ key: Secret) {
    var mixer = Mixer(seed: 0x4145_4144)
    mixer.absorb(key.bytes, RawSpan())
    keyed = mixer
  }

  private func stream(_ nonce: Nonce) -> Mixer {
    var mixer = keyed
    mixer.absorb(UInt64(nonce.high))
    mixer.absorb(nonce.counter)
    return mixer
  }

  private func tag(_ stream: Mixer, ciphertext: RawSpan, authenticated: RawSpan) -> (UInt64, UInt64) {
    var mixer = stream
    mixer.absorb(ciphertext, authenticated)
    return (mixer.word(0), mixer.word(1))
  }

  /// Adds the keystream to the first `count` bytes.
  private func crypt(_ bytes: inout MutableRawSpan, count: Int, with stream: Mixer) {
    bytes.withUnsafeMutableBytes { bytes in
      var offset = 0
      while offset + 8 <= count {
        let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ stream.word(offset).littleEndian
        bytes.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
        offset += 8
      }
      while offset < count {
        bytes[offset] ^= UInt8(truncatingIfNeeded: stream.word(offset))
        offset += 1
      }
    }
  }

  func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan) {
    let stream = stream(nonce)
    let size = plaintext.byteCount
    output.write(plaintext, at: 0)
    crypt(&output, count: size, with: stream)
    let tag = tag(stream, ciphertext: output.bytes.extracting(0..<size), authenticated: authenticating)
    output.store(tag.0, at: size)
    output.store(tag.1, at: size + 8)
  }

  func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool {
    let stream = stream(nonce)
    let size = message.byteCount - 16
    let tag = tag(stream, ciphertext: message.bytes.extracting(0..<size), authenticated: authenticating)
    guard message.bytes.load(UInt64.self, at: size) == tag.0, message.bytes.load(UInt64.self, at: size + 8) == tag.1
    else { return false }
    crypt(&message, count: size, with: stream)
    return true
  }
}

final class StandInHeaderKey: HeaderKey {
  private let keys: [UInt64]

  init(_ key: Secret) {
    var mixer = Mixer(seed: 0x5052_5000)
    mixer.absorb(key.bytes, RawSpan())
    keys = (0..<4).map { mixer.word($0) }
  }

  func encrypt(_ block: inout MutableRawSpan) {
    var left = block.bytes.load(UInt64.self, at: 0)
    var right = block.bytes.load(UInt64.self, at: 8)
    for key in keys { (left, right) = (right, left ^ SplitMix64.mix(right ^ key)) }
    block.store(left, at: 0)
    block.store(right, at: 8)
  }

  func decrypt(_ block: inout MutableRawSpan) {
    var left = block.bytes.load(UInt64.self, at: 0)
    var right = block.bytes.load(UInt64.self, at: 8)
    for key in keys.reversed() { (left, right) = (right ^ SplitMix64.mix(left ^ key), left) }
    block.store(left, at: 0)
    block.store(right, at: 8)
  }
}

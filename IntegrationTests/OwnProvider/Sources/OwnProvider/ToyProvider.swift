// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A provider from outside the package. It has the shapes of cryptography and is WORTHLESS AS
/// SECURITY: "agreement" is multiplication modulo 2^61 − 1, everything else mixes words.
struct ToyProvider: CryptoProvider {
  var name: String { "toy" }

  func fillRandom(_ bytes: inout MutableRawSpan) {
    bytes.fill(with: (0..<bytes.byteCount).map { _ in UInt8.random(in: 0...255) })
  }

  func hash(_ first: RawSpan, _ second: RawSpan) -> Digest {
    Digest { $0.fill(with: mixed([first.copy + second.copy], count: Digest.size)) }
  }

  func authenticator(key: RawSpan) -> any MessageAuthenticator { ToyAuthenticator(key: key.copy) }

  func generateAgreementKey() -> any AgreementPrivateKey { ToyPrivateKey(.random(in: 2..<Field.modulus)) }

  func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
    ToyPrivateKey(try Field.element(privateBytes.copy, size: 48))
  }

  func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
    ToyPublicKey(encoded: key, element: try Field.element(key.array, size: PublicKey.size))
  }

  func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
    ToyDecapsulationKey(scalar: .random(in: 2..<Field.modulus))
  }

  func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
    let element = try Field.element(encapsulationKey.copy, size: KEM.encapsulationKeySize)
    let scalar = UInt64.random(in: 2..<Field.modulus)
    return Encapsulation(
      ciphertext: Field.bytes(Field.product(scalar, Field.generator), size: KEM.ciphertextSize),
      sharedSecret: secret(Field.bytes(Field.product(scalar, element), size: KEM.sharedSecretSize)))
  }

  func packetKey(_ key: Secret) -> any PacketKey { ToyPacketKey(key: key.bytes.copy) }

  func headerKey(_ key: Secret) -> any HeaderKey { ToyHeaderKey(key: key.bytes.copy) }
}

private struct ToyAuthenticator: MessageAuthenticator {
  let key: [UInt8]

  func authenticationCode(for message: RawSpan) -> Secret { secret(mixed([key, message.copy], count: 64)) }
}

private final class ToyPrivateKey: AgreementPrivateKey {
  private let scalar: UInt64
  let publicKey: PublicKey

  init(_ scalar: UInt64) {
    self.scalar = scalar
    let encoded = [2] + Field.bytes(Field.product(scalar, Field.generator), size: PublicKey.size - 1)
    guard let key = PublicKey(encoded) else { fatalError("49 bytes that begin with 2 are an encoding") }
    publicKey = key
  }

  func sharedSecret(with publicKey: any AgreementPublicKey) throws(CryptoFailure) -> Secret {
    let element = try Field.element(publicKey.encoded.array, size: PublicKey.size)
    return secret(Field.bytes(Field.product(scalar, element), size: 48))
  }
}

private final class ToyPublicKey: AgreementPublicKey {
  let encoded: PublicKey

  init(encoded: PublicKey, element: UInt64) { self.encoded = encoded }
}

private final class ToyDecapsulationKey: DecapsulationKey {
  private let scalar: UInt64

  init(scalar: UInt64) { self.scalar = scalar }

  var encapsulationKey: [UInt8] {
    Field.bytes(Field.product(scalar, Field.generator), size: KEM.encapsulationKeySize)
  }

  func decapsulate(_ ciphertext: RawSpan) throws(CryptoFailure) -> Secret {
    let element = try Field.element(ciphertext.copy, size: KEM.ciphertextSize)
    return secret(Field.bytes(Field.product(scalar, element), size: KEM.sharedSecretSize))
  }
}

private final class ToyPacketKey: PacketKey {
  private let key: [UInt8]

  init(key: [UInt8]) { self.key = key }

  func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan) {
    let ciphertext = combined(plaintext.copy, stream(nonce, plaintext.byteCount))
    output.fill(with: ciphertext + tag(nonce, authenticating, ciphertext))
  }

  func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool {
    let all = message.bytes.copy
    let size = message.byteCount - 16
    let ciphertext = [UInt8](all[..<size])
    guard tag(nonce, authenticating, ciphertext).elementsEqual(all[size...]) else { return false }
    message.fill(with: combined(ciphertext, stream(nonce, size)))
    return true
  }

  private func stream(_ nonce: Nonce, _ count: Int) -> [UInt8] { mixed([key, text(nonce)], count: count) }

  private func tag(_ nonce: Nonce, _ additional: RawSpan, _ ciphertext: [UInt8]) -> [UInt8] {
    mixed([key, text(nonce), additional.copy, ciphertext], count: 16)
  }

  private func text(_ nonce: Nonce) -> [UInt8] { nonce.bytes.indices.map { nonce.bytes[$0] } }
}

private final class ToyHeaderKey: HeaderKey {
  private let stream: [UInt8]

  init(key: [UInt8]) { stream = mixed([key], count: 16) }

  func encrypt(_ block: inout MutableRawSpan) { block.fill(with: combined(block.bytes.copy, stream)) }
  func decrypt(_ block: inout MutableRawSpan) { encrypt(&block) }
}

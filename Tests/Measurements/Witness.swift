// SPDX-License-Identifier: Apache-2.0
import ZSSP

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A provider that writes every key it is given, and every secret it makes, to a pipe, from where
/// they lie: so whoever scans this process knows them, and the process has no further copy. For
/// measurements; nothing that is shipped has it.
struct WitnessProvider: DerivedProvider {
  let base: any CryptoProvider
  let pipe: Int32
  /// The use of its P-384 keys.
  var kindOfKey: StaticString = "ephemeral private key"

  /// Writes a record: what it is, a line feed, the size in one byte, the bytes.
  func tell(_ kind: StaticString, bytes: RawSpan) {
    _ = kind.withUTF8Buffer { text in write(pipe, text.baseAddress, text.count) }
    var head: (UInt8, UInt8) = (0x0a, UInt8(bytes.byteCount))
    _ = withUnsafeBytes(of: &head) { write(pipe, $0.baseAddress, 2) }
    _ = bytes.withUnsafeBytes { write(pipe, $0.baseAddress, $0.count) }
  }

  func authenticator(key: RawSpan) -> any MessageAuthenticator {
    WitnessAuthenticator(base: base.authenticator(key: key), witness: self)
  }

  func generateAgreementKey() -> any AgreementPrivateKey {
    // As swift-crypto's provider makes its own: 48 bytes, again if they are refused.
    while true {
      let scalar = base.random(48)
      if let key = try? base.agreementKey(privateBytes: scalar.bytes) {
        tell(kindOfKey, bytes: scalar.bytes)
        return WitnessAgreementKey(base: key, witness: self)
      }
    }
  }

  func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
    WitnessDecapsulationKey(base: base.generateEncapsulationKey(for: algorithm), witness: self)
  }

  func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
    let made = try base.encapsulate(to: encapsulationKey, for: algorithm)
    let secret = made.sharedSecret
    tell("KEM shared secret", bytes: secret.bytes)
    return made
  }

  func packetKey(_ key: Secret) -> any PacketKey {
    tell("packet key", bytes: key.bytes)
    return base.packetKey(key)
  }

  func headerKey(_ key: Secret) -> any HeaderKey {
    tell("header key", bytes: key.bytes)
    return base.headerKey(key)
  }
}

private struct WitnessAuthenticator: MessageAuthenticator {
  let base: any MessageAuthenticator
  let witness: WitnessProvider

  func authenticationCode(for message: RawSpan) -> Secret {
    let code = base.authenticationCode(for: message)
    witness.tell("KBKDF output", bytes: code.bytes)
    return code
  }
}

private final class WitnessAgreementKey: AgreementPrivateKey {
  private let base: any AgreementPrivateKey
  private let witness: WitnessProvider
  init(base: any AgreementPrivateKey, witness: WitnessProvider) {
    self.base = base
    self.witness = witness
  }
  var publicKey: PublicKey { base.publicKey }
  func sharedSecret(with publicKey: any AgreementPublicKey) throws(CryptoFailure) -> Secret {
    let secret = try base.sharedSecret(with: publicKey)
    witness.tell("P-384 shared secret", bytes: secret.bytes)
    return secret
  }
}

private final class WitnessDecapsulationKey: DecapsulationKey {
  private let base: any DecapsulationKey
  private let witness: WitnessProvider
  init(base: any DecapsulationKey, witness: WitnessProvider) {
    self.base = base
    self.witness = witness
  }
  var encapsulationKey: [UInt8] { base.encapsulationKey }
  func decapsulate(_ ciphertext: RawSpan) throws(CryptoFailure) -> Secret {
    let secret = try base.decapsulate(ciphertext)
    witness.tell("KEM shared secret", bytes: secret.bytes)
    return secret
  }
}

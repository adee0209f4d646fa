// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Another provider, but headers are changed before they are protected: what only the holder of a header key can do.
struct TamperingProvider: CryptoProvider {
  let base: any CryptoProvider
  /// Changes the protected bytes of a header: number, count, reserved, type, counter, and the payload's first four.
  let tamper: @Sendable (inout MutableRawSpan) -> Void

  var name: String { base.name }
  func fillRandom(_ bytes: inout MutableRawSpan) { base.fillRandom(&bytes) }
  func hash(_ first: RawSpan, _ second: RawSpan) -> Digest { base.hash(first, second) }
  func authenticator(key: RawSpan) -> any MessageAuthenticator { base.authenticator(key: key) }
  func generateAgreementKey() -> any AgreementPrivateKey { base.generateAgreementKey() }
  func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
    try base.agreementKey(privateBytes: privateBytes)
  }
  func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
    try base.agreementPublicKey(key)
  }
  func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
    base.generateEncapsulationKey(for: algorithm)
  }
  func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
    try base.encapsulate(to: encapsulationKey, for: algorithm)
  }
  func packetKey(_ key: Secret) -> any PacketKey { base.packetKey(key) }
  func headerKey(_ key: Secret) -> any HeaderKey { TamperingHeaderKey(base: base.headerKey(key), tamper: tamper) }
}

private final class TamperingHeaderKey: HeaderKey {
  private let base: any HeaderKey
  private let tamper: @Sendable (inout MutableRawSpan) -> Void

  init(base: any HeaderKey, tamper: @escaping @Sendable (inout MutableRawSpan) -> Void) {
    (self.base, self.tamper) = (base, tamper)
  }

  func encrypt(_ block: inout MutableRawSpan) {
    tamper(&block)
    base.encrypt(&block)
  }

  func decrypt(_ block: inout MutableRawSpan) { base.decrypt(&block) }
}

// SPDX-License-Identifier: Apache-2.0

/// A provider that is another one but for what it defines itself: packet keys from elsewhere, keys that are watched or
/// measured.
///
/// ```swift
/// struct Watched: DerivedProvider {
///   let base: any CryptoProvider
///   var name: String { "\(base.name), watched" }
///   func packetKey(_ key: Secret) -> any PacketKey {
///     print("a packet key is expanded")
///     return base.packetKey(key)
///   }
/// }
/// ```
public protocol DerivedProvider: CryptoProvider {
  /// Where everything else comes from.
  var base: any CryptoProvider { get }
}

extension DerivedProvider {
  /// As many as the base's.
  public var usualExpandedKeys: Int { base.usualExpandedKeys }

  /// The base's name.
  public var name: String { base.name }

  /// Fills `bytes` from the base's generator.
  public func fillRandom(_ bytes: inout MutableRawSpan) { base.fillRandom(&bytes) }

  /// The base's SHA-512 of `first || second`.
  public func hash(_ first: RawSpan, _ second: RawSpan) -> Digest { base.hash(first, second) }

  /// The base's HMAC-SHA-512 under `key`, which may be empty.
  public func authenticator(key: RawSpan) -> any MessageAuthenticator { base.authenticator(key: key) }

  /// A new P-384 key of the base.
  public func generateAgreementKey() -> any AgreementPrivateKey { base.generateAgreementKey() }

  /// The base's P-384 private key of 48 big-endian bytes. Zero, and what is not below the group order, is refused.
  public func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
    try base.agreementKey(privateBytes: privateBytes)
  }

  /// Has the base decode a compressed point of P-384. One that is not on the curve is refused.
  public func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
    try base.agreementPublicKey(key)
  }

  /// A new key for key encapsulation of the base.
  public func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
    base.generateEncapsulationKey(for: algorithm)
  }

  /// Has the base make a shared secret for the holder of the private part of `encapsulationKey`, 1568 bytes.
  public func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
    try base.encapsulate(to: encapsulationKey, for: algorithm)
  }

  /// The base's AES-256-GCM under `key`, which must be 32 bytes.
  public func packetKey(_ key: Secret) -> any PacketKey { base.packetKey(key) }

  /// The base's AES-256 on single blocks under `key`, which must be 32 bytes.
  public func headerKey(_ key: Secret) -> any HeaderKey { base.headerKey(key) }

  /// Runs the self test of the base, and then tests every function of this provider.
  public func selfTest() throws(SelfTestFailure) {
    try base.selfTest()
    try SelfTest(self).run()
  }
}

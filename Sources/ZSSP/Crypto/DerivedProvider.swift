// SPDX-License-Identifier: Apache-2.0

/// A provider that replaces some functions of another one, its ``base``: for packet keys of another
/// library, or for keys that are watched or measured.
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
  /// The provider of all other functions.
  var base: any CryptoProvider { get }
}

extension DerivedProvider {
  /// The base's number.
  public var usualExpandedKeys: Int { base.usualExpandedKeys }

  /// The base's name.
  public var name: String { base.name }

  /// Fills `bytes` from the base's generator.
  public func fillRandom(_ bytes: inout MutableRawSpan) { base.fillRandom(&bytes) }

  /// Returns the base's SHA-512 of `first || second`.
  public func hash(_ first: RawSpan, _ second: RawSpan) -> Digest { base.hash(first, second) }

  /// Returns the base's HMAC-SHA-512 under `key`, which may be empty.
  public func authenticator(key: RawSpan) -> any MessageAuthenticator { base.authenticator(key: key) }

  /// Returns a new P-384 key of the base.
  public func generateAgreementKey() -> any AgreementPrivateKey { base.generateAgreementKey() }

  /// Returns the base's P-384 private key of 48 big-endian bytes.
  ///
  /// - Throws: ``CryptoFailure`` if the key is zero or not below the group order.
  public func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
    try base.agreementKey(privateBytes: privateBytes)
  }

  /// Decodes a compressed point of P-384 with the base.
  ///
  /// - Throws: ``CryptoFailure`` if it is not on the curve.
  public func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
    try base.agreementPublicKey(key)
  }

  /// Returns a new key for key encapsulation of the base.
  public func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
    base.generateEncapsulationKey(for: algorithm)
  }

  /// Makes a shared secret with the base, for the holder of the private part of `encapsulationKey`,
  /// 1568 bytes.
  ///
  /// - Throws: ``CryptoFailure`` if the base refuses the encoding.
  public func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
    try base.encapsulate(to: encapsulationKey, for: algorithm)
  }

  /// Returns the base's AES-256-GCM under `key`, which must be 32 bytes.
  public func packetKey(_ key: Secret) -> any PacketKey { base.packetKey(key) }

  /// Returns the base's AES-256 on single blocks under `key`, which must be 32 bytes.
  public func headerKey(_ key: Secret) -> any HeaderKey { base.headerKey(key) }

  /// Runs the self test of the base, and then tests every function of this provider.
  ///
  /// - Throws: ``SelfTestFailure`` with the first function that failed.
  public func selfTest() throws(SelfTestFailure) {
    try base.selfTest()
    try SelfTest(self).run()
  }
}

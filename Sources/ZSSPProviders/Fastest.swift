// SPDX-License-Identifier: Apache-2.0
#if SwiftCrypto
  public import ZSSP
  import ZSSPSwiftCrypto

  /// The provider that moves the most packets, of those that this build has and this machine can run.
  ///
  /// It is one of the others; keys are theirs, so that nothing is added to the way of a packet.
  public struct FastestProvider: CryptoProvider {
    private let chosen: any CryptoProvider

    /// Chooses a provider.
    public init() { chosen = (try? ProviderChoice.fastest.makeProvider()) ?? SwiftCryptoProvider() }

    /// The name of the one that was chosen.
    public var name: String { chosen.name }

    /// Fills `bytes` with output of a cryptographically secure generator.
    public func fillRandom(_ bytes: inout MutableRawSpan) { chosen.fillRandom(&bytes) }

    /// SHA-512 of `first || second`.
    public func hash(_ first: RawSpan, _ second: RawSpan) -> Digest { chosen.hash(first, second) }

    /// HMAC-SHA-512 under `key`, which may be empty.
    public func authenticator(key: RawSpan) -> any MessageAuthenticator { chosen.authenticator(key: key) }

    /// A new P-384 key.
    public func generateAgreementKey() -> any AgreementPrivateKey { chosen.generateAgreementKey() }

    /// The P-384 private key of 48 big-endian bytes. Zero, and what is not below the group order, is refused.
    public func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
      try chosen.agreementKey(privateBytes: privateBytes)
    }

    /// Decodes a compressed point of P-384, and refuses one that is not on the curve.
    public func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
      try chosen.agreementPublicKey(key)
    }

    /// A new key for key encapsulation.
    public func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
      chosen.generateEncapsulationKey(for: algorithm)
    }

    /// Makes a shared secret for the holder of the private part of `encapsulationKey`, 1568 bytes.
    public func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
      try chosen.encapsulate(to: encapsulationKey, for: algorithm)
    }

    /// AES-256-GCM under `key`, which must be 32 bytes.
    public func packetKey(_ key: Secret) -> any PacketKey { chosen.packetKey(key) }

    /// AES-256 on single blocks under `key`, which must be 32 bytes.
    public func headerKey(_ key: Secret) -> any HeaderKey { chosen.headerKey(key) }
  }

  extension CryptoProvider where Self == FastestProvider {
    /// The provider that moves the most packets, of those that this build has and this machine can run.
    public static var fastest: FastestProvider { FastestProvider() }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import CZSSPIPsecMB
  public import ZSSP

  /// Packet keys and header keys on Intel's multi-buffer library, and another provider for everything else.
  ///
  /// It is there on Linux on x86-64. A packet allocates nothing. The value is free to copy.
  public struct IPsecMBProvider: CryptoProvider {
    private let handshakes: any CryptoProvider
    private let manager: Manager

    /// Packet keys of this library, with `handshakes` for all other primitives.
    ///
    /// Whether the library can be used is found out once in a process.
    ///
    /// - Throws: ``IPsecMBError/processorLacks(_:)`` if the processor has no instructions for AES-GCM, or
    ///   ``IPsecMBError/notInitialized(reason:)``.
    public init(handshakes: any CryptoProvider) throws(IPsecMBError) {
      manager = try Manager.shared.get()
      self.handshakes = handshakes
    }

    /// "intel-ipsec-mb 1.3.0 with swift-crypto": the version of the library that runs, and the other provider.
    public var name: String {
      let version = imb_get_version_str().map { String(cString: $0) } ?? ""
      return "intel-ipsec-mb \(version) with \(handshakes.name)"
    }

    /// AES-256-GCM under `key`, which must be 32 bytes.
    public func packetKey(_ key: Secret) -> any PacketKey { GCMPacketKey(key, manager) }

    /// AES-256 on single blocks under `key`, which must be 32 bytes.
    public func headerKey(_ key: Secret) -> any HeaderKey { BlockHeaderKey(key, manager) }

    // Everything else is the other provider's.

    /// Fills `bytes` from the other provider's generator.
    public func fillRandom(_ bytes: inout MutableRawSpan) { handshakes.fillRandom(&bytes) }

    /// SHA-512 of `first || second`.
    public func hash(_ first: RawSpan, _ second: RawSpan) -> Digest { handshakes.hash(first, second) }

    /// HMAC-SHA-512 under `key`, which may be empty.
    public func authenticator(key: RawSpan) -> any MessageAuthenticator { handshakes.authenticator(key: key) }

    /// A new P-384 key.
    public func generateAgreementKey() -> any AgreementPrivateKey { handshakes.generateAgreementKey() }

    /// The P-384 private key of 48 big-endian bytes. Zero, and what is not below the group order, is refused.
    public func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
      try handshakes.agreementKey(privateBytes: privateBytes)
    }

    /// Decodes a compressed point of P-384, and refuses one that is not on the curve.
    public func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
      try handshakes.agreementPublicKey(key)
    }

    /// A new key for key encapsulation.
    public func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
      handshakes.generateEncapsulationKey(for: algorithm)
    }

    /// Makes a shared secret for the holder of the private part of `encapsulationKey`, 1568 bytes.
    public func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
      try handshakes.encapsulate(to: encapsulationKey, for: algorithm)
    }
  }

  extension CryptoProvider where Self == IPsecMBProvider {
    /// Packet keys of intel-ipsec-mb, with `handshakes` for all other primitives.
    ///
    /// - Throws: ``IPsecMBError`` if the processor or the library cannot do it.
    public static func ipsecMB(handshakes: any CryptoProvider) throws(IPsecMBError) -> IPsecMBProvider {
      try IPsecMBProvider(handshakes: handshakes)
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  import CZSSPOpenSSL
  public import ZSSP
  import ZSSPSwiftCrypto

  /// libcrypto of OpenSSL 3, with its built-in algorithms or with its FIPS module and nothing else.
  ///
  /// libcrypto is loaded when the first provider is made, by its name with the version (`libcrypto.so.3`), from where the
  /// system's loader finds it. The build needs nothing of OpenSSL.
  ///
  /// Packet keys and header keys keep their contexts: a packet allocates nothing. Everything is libcrypto's own, in a
  /// library context that this provider does not share with the application; but before OpenSSL 3.5 libcrypto has no
  /// ML-KEM, and key encapsulation is swift-crypto's. See ``hasOwnEncapsulation``.
  ///
  /// The value is free to copy. Errors of libcrypto do not stay on the thread's error queue.
  public struct OpenSSLProvider: CryptoProvider {
    let library: Library

    /// The provider.
    ///
    /// Whether libcrypto and its FIPS module can be used is found out once in a process, for each of them.
    ///
    /// - Parameter fips: Whether every algorithm must come from the FIPS module. The module is looked for as OpenSSL
    ///   does it, with the configuration that the environment variable `OPENSSL_CONF` or OpenSSL's default names.
    /// - Throws: ``OpenSSLError/libraryMissing(reason:)`` if there is no libcrypto of OpenSSL 3,
    ///   ``OpenSSLError/fipsModuleMissing(reason:modules:configuration:)`` if there is no such module, and other cases if
    ///   libcrypto has not what ZSSP needs.
    public init(fips: Bool = false) throws(OpenSSLError) {
      library = try (fips ? Library.fips : Library.standard).get()
    }

    /// "OpenSSL 3.0.17", or "OpenSSL 3.0.17 (FIPS)": the version of the libcrypto that runs.
    public var name: String {
      let version = zssp_OpenSSL_version(ZSSP_VERSION_TEXT).map { String(cString: $0) } ?? "3"
      return "OpenSSL \(version)" + (library.isFIPS ? " (FIPS)" : "")
    }

    /// Whether every algorithm comes from the FIPS module of OpenSSL, key encapsulation as far as
    /// ``hasOwnEncapsulation`` says.
    public var isFIPS: Bool { library.isFIPS }

    /// Whether ML-KEM-1024 comes from libcrypto (3.5 or newer), with `fips` from its FIPS module. If not it comes from
    /// swift-crypto: a secret that is added to that of P-384, as SP 800-56C section 2 allows for one that is not approved.
    public var hasOwnEncapsulation: Bool { library.hasMLKEM }

    /// Fills `bytes` from libcrypto's generator for private values, which is seeded by the operating system.
    public func fillRandom(_ bytes: inout MutableRawSpan) {
      let count = bytes.byteCount
      bytes.withBytes { require(zssp_RAND_priv_bytes_ex(library.context, $0, count, 0), "RAND_priv_bytes_ex") }
    }

    /// SHA-512 (FIPS 180-4) of `first || second`. After a thread's first we allocate nothing, nor does libcrypto 3.5; 3.0
    /// allocates the state of each hash.
    public func hash(_ first: RawSpan, _ second: RawSpan) -> Digest {
      Digest { library.hashContexts.hash(first, second, into: &$0) }
    }

    /// HMAC-SHA-512 (FIPS 198-1) under `key`, which may be empty.
    public func authenticator(key: RawSpan) -> any MessageAuthenticator {
      HMACAuthenticator(key: key, template: library.hmac)
    }

    /// A new P-384 key, which libcrypto draws from its generator for private values.
    public func generateAgreementKey() -> any AgreementPrivateKey { P384AgreementKey.random(library) }

    /// The P-384 private key of 48 big-endian bytes. Zero, and what is not below the group order, is refused.
    public func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
      try P384AgreementKey(privateBytes: privateBytes, library)
    }

    /// Decodes a compressed point of P-384, and refuses one that is not on the curve.
    public func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
      try P384PublicKey(key, library)
    }

    /// A new ML-KEM-1024 key, which serves both algorithms: their keys are encoded alike.
    public func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
      Encapsulator(library: library).generate(for: algorithm)
    }

    /// Makes a shared secret for the holder of the private part of `encapsulationKey`, which must be 1568 bytes and pass
    /// the modulus check of FIPS 203 section 7.2.
    public func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
      try Encapsulator(library: library).encapsulate(to: encapsulationKey, for: algorithm)
    }

    /// AES-256-GCM under `key`, which must be 32 bytes.
    public func packetKey(_ key: Secret) -> any PacketKey { GCMPacketKey(key, cipher: library.gcm) }

    /// AES-256 on single blocks under `key`, which must be 32 bytes.
    public func headerKey(_ key: Secret) -> any HeaderKey { BlockHeaderKey(key, cipher: library.ecb) }

    /// Checks every function against known answers, and new keys for consistency; SHAKE256 besides, and swift-crypto where
    /// key encapsulation is its own. That of libcrypto is tested for consistency alone: it takes no known seed here.
    ///
    /// - Throws: `SelfTestFailure` with the first function that failed.
    public func selfTest() throws(SelfTestFailure) {
      try SelfTest(self).run()
      try SelfTest.require(SelfTest.isSHAKE256(library.shake256(_:_:count:)), .shake256, of: self)
      if !library.hasMLKEM { try SwiftCryptoProvider().selfTest() }
    }
  }

  extension CryptoProvider where Self == OpenSSLProvider {
    /// OpenSSL, with its built-in algorithms or with those of its FIPS module alone.
    ///
    /// - Throws: ``OpenSSLError/libraryMissing(reason:)`` if there is no libcrypto of OpenSSL 3,
    ///   ``OpenSSLError/fipsModuleMissing(reason:modules:configuration:)`` if `fips` is asked for and there is no such
    ///   module, and other cases if libcrypto has not what ZSSP needs.
    public static func openSSL(fips: Bool = false) throws(OpenSSLError) -> OpenSSLProvider {
      try OpenSSLProvider(fips: fips)
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  import CZSSPOpenSSL
  public import ZSSP
  import ZSSPSwiftCrypto

  /// libcrypto of OpenSSL 3, with its built-in algorithms or with its FIPS module only.
  ///
  /// The first provider loads libcrypto by its versioned name (`libcrypto.so.3`), from where the
  /// system's loader finds it. A build needs nothing of OpenSSL.
  ///
  /// Packet keys and header keys keep their contexts, so a packet causes no allocation. All
  /// algorithms are libcrypto's own, in a library context that the application does not share. The
  /// exception is key encapsulation before OpenSSL 3.5, whose libcrypto has no ML-KEM: then
  /// swift-crypto does it. See ``hasOwnEncapsulation``.
  ///
  /// The value is free to copy. Errors of libcrypto do not stay on the thread's error queue.
  public struct OpenSSLProvider: CryptoProvider {
    let library: Library

    /// Creates the provider.
    ///
    /// libcrypto and its FIPS module are each checked once per process.
    ///
    /// - Parameter fips: True if every algorithm must come from the FIPS module. The default is
    ///   false. OpenSSL finds the module by the configuration file that the environment variable
    ///   `OPENSSL_CONF` or OpenSSL's default names.
    /// - Throws: ``OpenSSLError/libraryMissing(reason:)`` if the machine has no libcrypto of
    ///   OpenSSL 3, ``OpenSSLError/fipsModuleMissing(reason:modules:configuration:)`` if the module
    ///   is missing, and other cases if libcrypto lacks something that ZSSP needs.
    public init(fips: Bool = false) throws(OpenSSLError) {
      library = try (fips ? Library.fips : Library.standard).get()
    }

    /// "OpenSSL 3.0.17", or "OpenSSL 3.0.17 (FIPS)": the version of the libcrypto that runs.
    public var name: String {
      let version = zssp_OpenSSL_version(ZSSP_VERSION_TEXT).map { String(cString: $0) } ?? "3"
      return "OpenSSL \(version)" + (library.isFIPS ? " (FIPS)" : "")
    }

    /// True if every algorithm comes from the FIPS module of OpenSSL. For key encapsulation see
    /// ``hasOwnEncapsulation``.
    public var isFIPS: Bool { library.isFIPS }

    /// True if ML-KEM-1024 comes from libcrypto (3.5 or newer); with `fips`, from its FIPS module.
    /// Otherwise it comes from swift-crypto: its secret is added to that of P-384, which SP 800-56C
    /// section 2 allows for a secret that is not approved.
    public var hasOwnEncapsulation: Bool { library.hasMLKEM }

    /// Fills `bytes` from libcrypto's generator for private values, which is seeded by the
    /// operating system.
    public func fillRandom(_ bytes: inout MutableRawSpan) {
      let count = bytes.byteCount
      bytes.withBytes { require(zssp_RAND_priv_bytes_ex(library.context, $0, count, 0), "RAND_priv_bytes_ex") }
    }

    /// Returns the SHA-512 (FIPS 180-4) of `first || second`. After a thread's first hash this
    /// provider allocates nothing, nor does libcrypto 3.5; libcrypto 3.0 allocates the state of
    /// each hash.
    public func hash(_ first: RawSpan, _ second: RawSpan) -> Digest {
      Digest { library.hashContexts.hash(first, appending: second, into: &$0) }
    }

    /// Returns HMAC-SHA-512 (FIPS 198-1) under `key`, which may be empty.
    public func authenticator(key: RawSpan) -> any MessageAuthenticator {
      HMACAuthenticator(key: key, template: library.hmac)
    }

    /// Returns a new P-384 key, which libcrypto draws from its generator for private values.
    public func generateAgreementKey() -> any AgreementPrivateKey { P384AgreementKey.random(library) }

    /// Returns the P-384 private key of 48 big-endian bytes.
    ///
    /// - Throws: `CryptoFailure` if the key is zero or not below the group order, or if the FIPS
    ///   module refuses it.
    public func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
      try P384AgreementKey(privateBytes: privateBytes, library)
    }

    /// Decodes a compressed point of P-384.
    ///
    /// - Throws: `CryptoFailure` if it is not on the curve, or if the FIPS module refuses it.
    public func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
      try P384PublicKey(key, library: library)
    }

    /// Returns a new ML-KEM-1024 key, which serves both algorithms: their keys have the same
    /// encoding.
    public func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
      Encapsulator(library: library).generate(for: algorithm)
    }

    /// Makes a shared secret for the holder of the private part of `encapsulationKey`.
    ///
    /// - Throws: `CryptoFailure` unless the key has 1568 bytes and passes the modulus check of FIPS
    ///   203 section 7.2.
    public func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
      try Encapsulator(library: library).encapsulate(to: encapsulationKey, for: algorithm)
    }

    /// Returns AES-256-GCM under `key`, which must be 32 bytes.
    public func packetKey(_ key: Secret) -> any PacketKey { GCMPacketKey(key, cipher: library.gcm) }

    /// Returns AES-256 on single blocks under `key`, which must be 32 bytes.
    public func headerKey(_ key: Secret) -> any HeaderKey { BlockHeaderKey(key, cipher: library.ecb) }

    /// Checks every function against known answers, and new keys for consistency. Also checks
    /// SHAKE256, and swift-crypto if it does key encapsulation. libcrypto's key encapsulation is
    /// checked for consistency only, because it takes no known seed here.
    ///
    /// - Throws: `SelfTestFailure` with the first function that failed.
    public func selfTest() throws(SelfTestFailure) {
      try SelfTest(self).run()
      try SelfTest.require(SelfTest.isSHAKE256(library.shake256(_:appending:count:)), for: .shake256, of: self)
      if !library.hasMLKEM { try SwiftCryptoProvider().selfTest() }
    }
  }

  extension CryptoProvider where Self == OpenSSLProvider {
    /// Returns OpenSSL, with its built-in algorithms or with its FIPS module only.
    ///
    /// - Throws: ``OpenSSLError/fipsModuleMissing(reason:modules:configuration:)`` if `fips` is
    ///   true and the module is missing, and other cases if libcrypto lacks something that ZSSP
    ///   needs.
    public static func openSSL(fips: Bool = false) throws(OpenSSLError) -> OpenSSLProvider {
      try OpenSSLProvider(fips: fips)
    }
  }
#endif

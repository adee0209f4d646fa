// SPDX-License-Identifier: Apache-2.0
#if CryptoMB && os(Linux) && arch(x86_64)
  public import ZSSP

  /// P-384 of several handshakes at once from Intel's `crypto_mb`, and another provider for
  /// everything else.
  ///
  /// It needs Linux on x86-64, a processor with AVX-512 IFMA, and `libcrypto_mb.so.13` when the
  /// program runs. An operation that is alone comes from the other provider, because one lane takes
  /// as long as eight. Endpoints of `ZSSPNIO` advance the handshakes that are in progress together.
  public struct CryptoMBProvider: BatchingProvider, DerivedProvider {
    /// The provider for all other primitives, and for operations that are alone.
    public let base: any CryptoProvider
    let lanes: Lanes

    /// Creates a provider with `base` for all other primitives.
    ///
    /// The library is loaded and tested once per process: all lanes must give known answers.
    ///
    /// - Throws: ``CryptoMBError`` if the library cannot be loaded, the processor cannot run it, or
    ///   the test failed.
    public init(base: any CryptoProvider) throws(CryptoMBError) {
      self.init(base: base, library: try Library.installed.get())
    }

    init(base: any CryptoProvider, library: Library) {
      self.base = base
      lanes = Lanes(library: library, base: base)
    }

    /// "crypto_mb 2.3.0 with swift-crypto": the version of the library that runs, and the other
    /// provider.
    public var name: String { "\(lanes.library.version) with \(base.name)" }

    /// The number of operations that the library has failed to do with valid keys since the process
    /// began. The other provider did them. It is not zero only if the library or the processor is
    /// broken.
    public var failedOperations: UInt64 { lanes.failures }

    /// The operations of several handshakes.
    package var agreementBatches: (any AgreementBatches)? { lanes }

    /// Returns a new P-384 key of 48 bytes from ``fillRandom(_:)``.
    public func generateAgreementKey() -> any AgreementPrivateKey {
      // About one of 2^190 draws is refused.
      while true {
        if let key = try? LanePrivateKey(base.random(48), lanes: lanes) { return key }
      }
    }

    /// Returns the P-384 private key of 48 big-endian bytes.
    ///
    /// - Throws: `CryptoFailure` if the key is zero or not below the group order.
    public func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
      try LanePrivateKey(Secret(copying: privateBytes), lanes: lanes)
    }

    /// Decodes a compressed point of P-384.
    ///
    /// - Throws: `CryptoFailure` if it is not on the curve.
    public func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
      LanePublicKey(decodedByBase: try base.agreementPublicKey(key))
    }

    /// Runs the self test of the base, and then checks the lanes against it.
    ///
    /// - Throws: `SelfTestFailure` with the first function that failed.
    public func selfTest() throws(SelfTestFailure) {
      try base.selfTest()
      try SelfTest(self).run()
      try SelfTest(LaneByLane(self)).run()
    }
  }

  extension CryptoProvider where Self == CryptoMBProvider {
    /// Returns a provider with P-384 of `crypto_mb`, and `base` for all other primitives.
    ///
    /// - Throws: ``CryptoMBError`` if the library cannot be loaded, the processor cannot run it, or
    ///   its test failed.
    public static func cryptoMB(base: any CryptoProvider) throws(CryptoMBError) -> CryptoMBProvider {
      try CryptoMBProvider(base: base)
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
#if CryptoMB && os(Linux) && arch(x86_64)
  package import ZSSP

  /// A provider that does every single P-384 operation in a lane of `crypto_mb`, for tests: the
  /// known answers of single operations reach the lanes with it.
  package struct LaneByLane: DerivedProvider {
    package let base: any CryptoProvider
    private let lanes: Lanes

    /// Creates the provider.
    package init(_ provider: CryptoMBProvider) {
      base = provider
      lanes = provider.lanes
    }

    package var name: String { "\(base.name), lane by lane" }

    package func generateAgreementKey() -> any AgreementPrivateKey { lanes.generate(1)[0] }

    package func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
      try lanes.key(Secret(copying: privateBytes))
    }

    package func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
      guard let decoded = lanes.decode([key])[0] else { throw CryptoFailure("the public key is not a point of P-384") }
      return decoded
    }

    package func selfTest() throws(SelfTestFailure) { try SelfTest(self).run() }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
public import ZSSP
import ZSSPSimulator

/// Another provider, but handshakes are of stand-in cryptography, which is worthless and quick.
///
/// A benchmark of what sessions cost once they are there can have a hundred thousand of them in seconds. No session keeps
/// anything of a handshake but secrets of the same size, so that the memory it takes is the same.
public struct QuickHandshakes: DerivedProvider {
  /// Where packets, headers, hashes and randomness come from.
  public let base: any CryptoProvider
  private let quick = StandInCrypto()

  /// Packets, headers, hashes and randomness of `base`.
  public init(_ base: any CryptoProvider) { self.base = base }

  /// Says what it is.
  public var name: String { "\(base.name), handshakes not secure" }

  /// A stand-in key of the base's randomness.
  public func generateAgreementKey() -> any AgreementPrivateKey {
    while true {
      if let key = try? quick.agreementKey(privateBytes: random(48).bytes) { return key }
    }
  }

  /// A stand-in.
  public func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
    try quick.agreementKey(privateBytes: privateBytes)
  }

  /// A stand-in.
  public func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
    try quick.agreementPublicKey(key)
  }

  /// A stand-in.
  public func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
    quick.generateEncapsulationKey(for: algorithm)
  }

  /// A stand-in.
  public func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
    try quick.encapsulate(to: encapsulationKey, for: algorithm)
  }
}

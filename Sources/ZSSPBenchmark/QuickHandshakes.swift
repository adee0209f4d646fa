// SPDX-License-Identifier: Apache-2.0
public import ZSSP
import ZSSPSimulator

/// A provider with fast stand-in cryptography for handshakes, which is insecure.
///
/// A benchmark of established sessions can make a hundred thousand of them in seconds. A session
/// keeps only secrets of a handshake, which have the same size, so its memory is the same.
public struct QuickHandshakes: DerivedProvider {
  /// The provider of packets, headers, hashes and randomness.
  public let base: any CryptoProvider
  private let quick = StandInCrypto()

  /// Wraps a provider.
  public init(_ base: any CryptoProvider) { self.base = base }

  /// The base's name, with a note that handshakes are not secure.
  public var name: String { "\(base.name), handshakes not secure" }

  /// Makes a stand-in key from the base's randomness.
  public func generateAgreementKey() -> any AgreementPrivateKey {
    while true {
      if let key = try? quick.agreementKey(privateBytes: random(48).bytes) { return key }
    }
  }

  /// Parses a stand-in key.
  ///
  /// - Throws: `CryptoFailure`.
  public func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
    try quick.agreementKey(privateBytes: privateBytes)
  }

  /// Parses a stand-in public key.
  ///
  /// - Throws: `CryptoFailure`.
  public func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
    try quick.agreementPublicKey(key)
  }

  /// Makes a stand-in key.
  public func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
    quick.generateEncapsulationKey(for: algorithm)
  }

  /// Encapsulates with the stand-in.
  ///
  /// - Throws: `CryptoFailure`.
  public func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
    try quick.encapsulate(to: encapsulationKey, for: algorithm)
  }
}

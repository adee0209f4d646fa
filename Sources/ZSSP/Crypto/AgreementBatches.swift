// SPDX-License-Identifier: Apache-2.0

/// P-384 operations of which several take hardly longer than one.
///
/// The results are in the order of the arguments. ``PublicKeyBatch`` collects the operations. All
/// functions may be called on any thread.
package protocol AgreementBatches: Sendable {
  /// The largest number of operations for one call, at least 2.
  var size: Int { get }

  /// The number of operations that failed at valid keys since the process began, and that were
  /// done in another way. It is not zero only if a library or the hardware is broken.
  var failures: UInt64 { get }

  /// Returns new ephemeral keys, as ``CryptoProvider/generateAgreementKey()`` does.
  func generate(_ count: Int) -> [any AgreementPrivateKey]

  /// Decodes public keys, as ``CryptoProvider/agreementPublicKey(_:)`` does; nil for each that is
  /// not on the curve.
  func decode(_ keys: [PublicKey]) -> [(any AgreementPublicKey)?]

  /// Returns shared secrets, as ``AgreementPrivateKey/sharedSecret(with:)`` does; nil for each
  /// agreement that fails.
  func agree(_ pairs: [(own: any AgreementPrivateKey, peer: any AgreementPublicKey)]) -> [Secret?]
}

extension AgreementBatches {
  /// Zero, for operations that cannot fail at valid keys.
  package var failures: UInt64 { 0 }
}

/// A provider that may do several P-384 operations at once. Alone, each takes as long as with
/// another provider.
package protocol BatchingProvider: CryptoProvider {
  /// The operations; nil if this provider cannot do several at once.
  var agreementBatches: (any AgreementBatches)? { get }
}

extension CryptoProvider {
  /// The operations that the provider can do at once; nil if it cannot.
  package var batches: (any AgreementBatches)? { (self as? any BatchingProvider)?.agreementBatches }
}

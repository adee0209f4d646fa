// SPDX-License-Identifier: Apache-2.0

import Crypto
import ZSSP

/// A P-384 private key with its computed public part (section 1: DH).
///
/// swift-crypto holds the scalar and wipes it.
final class P384AgreementKey: AgreementPrivateKey {
  let publicKey: PublicKey
  let key: P384.KeyAgreement.PrivateKey

  init(_ key: P384.KeyAgreement.PrivateKey) throws(CryptoFailure) {
    guard let publicKey = PublicKey(key.publicKey.compressedRepresentation.array) else {
      throw CryptoFailure("swift-crypto did not give a compressed P-384 point")
    }
    self.publicKey = publicKey
    self.key = key
  }

  convenience init(privateBytes: RawSpan) throws(CryptoFailure) {
    let key = try? privateBytes.withUnsafeBytes { try P384.KeyAgreement.PrivateKey(rawRepresentation: $0) }
    guard let key else { throw CryptoFailure("not a P-384 private key: 48 bytes, not zero, below the group order") }
    try self.init(key)
  }

  /// Returns a key of random bytes. `P384.KeyAgreement.PrivateKey()` would also run the pairwise
  /// consistency check of FIPS 140, which is meant for keys that sign too, and takes four times as
  /// long.
  static func random(from provider: SwiftCryptoProvider) -> P384AgreementKey {
    // About one of 2^192 draws is refused. 48 bytes that are not zero and below the order always
    // make a key, so the loop ends.
    while true {
      if let key = try? P384AgreementKey(privateBytes: provider.random(48).bytes) { return key }
    }
  }

  // [PRIM-5]
  func sharedSecret(with publicKey: any AgreementPublicKey) throws(CryptoFailure) -> Secret {
    // A key that another provider decoded is decoded again here.
    let peer = if let own = publicKey as? P384PublicKey { own } else { try P384PublicKey(publicKey.encoded) }
    do {
      // The raw x-coordinate, including leading zeros.
      return Secret(copying: try key.sharedSecretFromKeyAgreement(with: peer.key))
    } catch {
      throw CryptoFailure("P-384 key agreement failed")
    }
  }
}

// [PRIM-7]
/// A decoded P-384 public key.
final class P384PublicKey: AgreementPublicKey {
  let encoded: PublicKey
  let key: P384.KeyAgreement.PublicKey

  init(_ encoded: PublicKey) throws(CryptoFailure) {
    let key = try? encoded.bytes.withUnsafeBytes { try P384.KeyAgreement.PublicKey(compressedRepresentation: $0) }
    guard let key else { throw CryptoFailure("the public key is not a point of P-384") }
    self.encoded = encoded
    self.key = key
  }
}

// SPDX-License-Identifier: Apache-2.0

import Crypto
import ZSSP

/// A P-384 private key with its public part worked out (section 1: DH).
///
/// swift-crypto keeps the scalar and wipes it.
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

  /// A key of random bytes. `P384.KeyAgreement.PrivateKey()` would run the pairwise consistency check of FIPS 140
  /// besides, which is for keys that sign as well and takes four times as long.
  static func random(from provider: SwiftCryptoProvider) -> P384AgreementKey {
    // Of 2^192 draws about one is refused. 48 bytes below the order, not zero, always make a key, so this ends.
    while true {
      if let key = try? P384AgreementKey(privateBytes: provider.random(48).bytes) { return key }
    }
  }

  // [PRIM-5]
  func sharedSecret(with publicKey: any AgreementPublicKey) throws(CryptoFailure) -> Secret {
    // A key that another provider decoded is decoded again here.
    let peer = if let own = publicKey as? P384PublicKey { own } else { try P384PublicKey(publicKey.encoded) }
    do {
      // The raw x-coordinate, leading zeros kept.
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

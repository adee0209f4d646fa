// SPDX-License-Identifier: Apache-2.0

import Crypto
import ZSSP

/// The private part of an ML-KEM-1024 key (FIPS 203), used for either algorithm (section 1: KEM).
final class MLKEM1024DecapsulationKey: DecapsulationKey {
  let encapsulationKey: [UInt8]
  private let key: MLKEM1024.PrivateKey
  private let algorithm: ZSSP.KEM

  private init(_ key: MLKEM1024.PrivateKey, for algorithm: ZSSP.KEM) {
    self.key = key
    self.algorithm = algorithm
    encapsulationKey = key.publicKey.rawRepresentation.array
  }

  /// Creates the key that FIPS 203 derives from the 64 bytes of `seed`: `d || z` of algorithm 16.
  convenience init(seed: RawSpan, for algorithm: ZSSP.KEM) throws(CryptoFailure) {
    let key = try? seed.withUnsafeBytes { try MLKEM1024.PrivateKey(seedRepresentation: $0, publicKey: nil) }
    guard let key else { throw CryptoFailure("an ML-KEM-1024 seed has 64 bytes") }
    self.init(key, for: algorithm)
  }

  /// Returns a new key. swift-crypto draws the seed itself, from the generator that
  /// ``SwiftCryptoProvider/fillRandom(_:)`` uses.
  static func random(for algorithm: ZSSP.KEM) -> MLKEM1024DecapsulationKey {
    // The call throws by its signature only, so the loop ends in its first iteration.
    while true {
      if let key = try? MLKEM1024.PrivateKey() { return MLKEM1024DecapsulationKey(key, for: algorithm) }
    }
  }

  func decapsulate(_ ciphertext: RawSpan) throws(CryptoFailure) -> Secret {
    let secret = try? ciphertext.withUnsafeBytes { try key.decapsulate($0) }
    guard let secret else { throw CryptoFailure("an ML-KEM-1024 ciphertext has 1568 bytes") }
    return sharedSecret(of: secret, ciphertext, for: algorithm)
  }
}

// [PRIM-6]
func mlkem1024Encapsulate(to encapsulationKey: RawSpan, for algorithm: ZSSP.KEM) throws(CryptoFailure) -> Encapsulation
{
  let result = try? encapsulationKey.withUnsafeBytes {
    try MLKEM1024.PublicKey(rawRepresentation: $0).encapsulate()
  }
  guard let result else { throw CryptoFailure("not an ML-KEM-1024 encapsulation key") }
  let ciphertext = result.encapsulated.array
  return Encapsulation(
    ciphertext: ciphertext, sharedSecret: sharedSecret(of: result.sharedSecret, ciphertext.rawBytes, for: algorithm))
}

private func sharedSecret(of secret: SymmetricKey, _ ciphertext: RawSpan, for algorithm: ZSSP.KEM) -> Secret {
  switch algorithm {
  case .mlkem1024: Secret(copying: secret)
  case .kyber1024: kyber1024Secret(Secret(copying: secret).bytes, ciphertext: ciphertext)
  }
}

// [PRIM-9]
/// Returns the secret of third-round Kyber1024 for an ML-KEM-1024 secret: `SHAKE256(k ||
/// SHA3-256(ct))[0..<32]` (section 1).
///
/// FIPS 203 omits this last hash, and uses another one for implicit rejection. In either algorithm
/// a rejected `k` is unpredictable without the private key, and the hash does not change that.
func kyber1024Secret(_ secret: RawSpan, ciphertext: RawSpan) -> Secret {
  var ciphertextHash = SHA3_256()
  ciphertext.withUnsafeBytes { ciphertextHash.update(bufferPointer: $0) }
  let hash = ciphertextHash.finalize()
  return Secret(count: ZSSP.KEM.sharedSecretSize) { output in
    hash.withUnsafeBytes { Keccak.shake256(secret, appending: RawSpan(_unsafeBytes: $0), into: &output) }
  }
}

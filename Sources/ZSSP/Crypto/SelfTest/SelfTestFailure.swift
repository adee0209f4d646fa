// SPDX-License-Identifier: Apache-2.0

/// A function that ``CryptoProvider/selfTest()`` checks. The raw value is its name for people.
public enum SelfTestFunction: String, Sendable, Hashable, CaseIterable {
  /// SHA-512 of FIPS 180-4, of a message in two parts.
  case sha512 = "SHA-512"
  /// HMAC-SHA-512 of FIPS 198-1.
  case hmac = "HMAC-SHA-512"
  /// The key derivation of SP 800-108 in counter mode, on the provider's HMAC.
  case kbkdf = "KBKDF"
  /// AES-256-GCM of SP 800-38D: the ciphertext and tag of a known plaintext.
  case gcmSeal = "AES-256-GCM encryption"
  /// AES-256-GCM of SP 800-38D: the plaintext of a known ciphertext, and the refusal of a changed
  /// one.
  case gcmOpen = "AES-256-GCM decryption"
  /// One block of AES-256 of FIPS 197.
  case blockEncrypt = "AES-256 encryption"
  /// One block of AES-256 of FIPS 197.
  case blockDecrypt = "AES-256 decryption"
  /// P-384 key agreement of SP 800-56A: a known shared secret, and the public part of a known
  /// private key.
  case agreement = "P-384 key agreement"
  /// The validation of P-384 keys of SP 800-56A: the refusal of a point off the curve and of
  /// private keys out of range.
  case keyValidation = "P-384 key validation"
  /// Agreement of two new P-384 keys on a secret.
  case agreementPair = "P-384 pairwise consistency"
  /// The derivation of an ML-KEM-1024 key from its seed, and implicit rejection. Only for providers
  /// that take a seed.
  case decapsulation = "ML-KEM-1024 decapsulation"
  /// Decapsulation with a new ML-KEM-1024 key.
  case mlkemPair = "ML-KEM-1024 pairwise consistency"
  /// Decapsulation with a new Kyber1024 key.
  case kyberPair = "Kyber1024 pairwise consistency"
  /// SHAKE256 of FIPS 202. Only for providers that have their own.
  case shake256 = "SHAKE256"
  /// The difference of two draws of the generator.
  case random = "random bytes"
}

/// The error of a self test: a function gave a wrong answer, and the provider must not be used.
public struct SelfTestFailure: Error, Equatable, CustomStringConvertible {
  /// The provider's name.
  public let provider: String
  /// The function that failed.
  public let function: SelfTestFunction

  /// Creates the failure of `function`.
  public init(provider: String, function: SelfTestFunction) {
    self.provider = provider
    self.function = function
  }

  /// Both in one sentence, and what to do.
  public var description: String {
    "\(provider) failed its self test of \(function.rawValue); do not use it: replace the library or the hardware"
  }
}

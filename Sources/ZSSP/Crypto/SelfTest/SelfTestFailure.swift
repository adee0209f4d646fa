// SPDX-License-Identifier: Apache-2.0

/// A function that ``CryptoProvider/selfTest()`` checks. The raw value is its name for people.
public enum SelfTestFunction: String, Sendable, Hashable, CaseIterable {
  /// SHA-512 of FIPS 180-4, and that the parts of a message are one message.
  case sha512 = "SHA-512"
  /// HMAC-SHA-512 of FIPS 198-1.
  case hmac = "HMAC-SHA-512"
  /// The key derivation of SP 800-108 in counter mode, on the provider's HMAC.
  case kbkdf = "KBKDF"
  /// AES-256-GCM of SP 800-38D: the ciphertext and tag of a known plaintext.
  case gcmSeal = "AES-256-GCM encryption"
  /// AES-256-GCM of SP 800-38D: the plaintext of a known ciphertext, and that a changed one is refused.
  case gcmOpen = "AES-256-GCM decryption"
  /// One block of AES-256 of FIPS 197.
  case blockEncrypt = "AES-256 encryption"
  /// One block of AES-256 of FIPS 197.
  case blockDecrypt = "AES-256 decryption"
  /// P-384 key agreement of SP 800-56A: a known shared secret, and the public part of a known private key.
  case agreement = "P-384 key agreement"
  /// The validation of P-384 keys of SP 800-56A: a point off the curve and private keys out of range are refused.
  case keyValidation = "P-384 key validation"
  /// Two new P-384 keys agree on a secret.
  case agreementPair = "P-384 pairwise consistency"
  /// Derivation of an ML-KEM-1024 key from its seed, and implicit rejection, where a provider can take a seed.
  case decapsulation = "ML-KEM-1024 decapsulation"
  /// A new ML-KEM-1024 key opens what is encapsulated to it.
  case mlkemPair = "ML-KEM-1024 pairwise consistency"
  /// A new Kyber1024 key opens what is encapsulated to it.
  case kyberPair = "Kyber1024 pairwise consistency"
  /// SHAKE256 of FIPS 202, where a provider has its own.
  case shake256 = "SHAKE256"
  /// Two draws of the generator differ.
  case random = "random bytes"
}

/// A function of a provider gave a wrong answer: the provider must not be used.
public struct SelfTestFailure: Error, Equatable, CustomStringConvertible {
  /// The provider's name.
  public let provider: String
  /// What failed.
  public let function: SelfTestFunction

  /// A failure of `function`.
  public init(provider: String, function: SelfTestFunction) {
    self.provider = provider
    self.function = function
  }

  /// Both in one sentence, for people.
  public var description: String {
    "\(provider) failed its self test of \(function.rawValue); do not use it: replace the library or the hardware"
  }
}

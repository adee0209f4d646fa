// SPDX-License-Identifier: Apache-2.0

/// The source of an endpoint's cryptography (section 1 of the specification).
///
/// A provider is a runtime value that threads share: the endpoint uses it on the thread that drives
/// it, and ``PublicKeyWork`` on the thread that runs the work. A provider makes no protocol
/// decisions: one that computes these primitives correctly is correct for every profile.
public protocol CryptoProvider: Sendable {
  /// The library that the provider is built on, for people: "swift-crypto", "OpenSSL 3.0.17
  /// (FIPS)".
  var name: String { get }

  /// Fills `bytes` with output of a cryptographically secure generator.
  func fillRandom(_ bytes: inout MutableRawSpan)

  // [PRIM-1]
  /// Returns the SHA-512 (FIPS 180-4) of `first || second`. Proof of work calls it thousands of
  /// times: it should not allocate, and must not keep more than a hasher, which it releases before
  /// it returns.
  func hash(_ first: RawSpan, _ second: RawSpan) -> Digest

  // [PRIM-2]
  /// Returns HMAC-SHA-512 (FIPS 198-1) under `key`, to be used for several messages. The key may be
  /// empty.
  func authenticator(key: RawSpan) -> any MessageAuthenticator

  // [PRIM-5]
  /// Returns a new ephemeral P-384 key. Its 48 private bytes come from ``fillRandom(_:)``, and are
  /// drawn again if they are refused.
  func generateAgreementKey() -> any AgreementPrivateKey

  /// Returns the P-384 private key of 48 big-endian bytes.
  ///
  /// - Throws: ``CryptoFailure`` if the key is zero or not below the group order.
  func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey

  // [PRIM-7]
  /// Decodes a public key, and checks that it is a point of the curve. Callers keep the result,
  /// because decoding costs a square root.
  ///
  /// - Throws: ``CryptoFailure`` if it is not.
  func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey

  // [PRIM-6]
  /// Returns a new ephemeral key for key encapsulation.
  func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey

  // [PRIM-8]
  /// Makes a shared secret for the holder of the private part of `encapsulationKey` (1568 bytes).
  ///
  /// - Throws: ``CryptoFailure`` if the encoding is one that FIPS 203 section 7.2 refuses.
  func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation

  // [PRIM-3]
  /// Returns AES-256-GCM under `key` (32 bytes). It is used for many packets, on one thread at a
  /// time.
  func packetKey(_ key: Secret) -> any PacketKey

  // [PRIM-4]
  /// Returns AES-256 on single blocks under `key` (32 bytes). It is used for many packets, on one
  /// thread at a time.
  func headerKey(_ key: Secret) -> any HeaderKey

  /// The number of sessions for which an endpoint caches expanded keys, unless
  /// ``Settings/expandedKeys`` says otherwise; greater than 0. The default is 4096.
  var usualExpandedKeys: Int { get }

  /// Checks every function against known answers, and new keys for consistency. It also checks
  /// functions of the provider that are not in this protocol.
  ///
  /// - Throws: ``SelfTestFailure`` with the first function that failed.
  func selfTest() throws(SelfTestFailure)
}

extension CryptoProvider {
  /// 4096. Evicted keys return to the process's allocator, where they leave holes between sessions
  /// that stay. With a larger cache, a session would not free its memory when it becomes idle
  /// again.
  public var usualExpandedKeys: Int { 4096 }
}

/// A primitive refused its input: a point off the curve, a private key out of range, a malformed
/// encapsulation key.
public struct CryptoFailure: Error, Equatable {
  /// The refused input, for people. It never contains key material.
  public let reason: String

  /// Creates a failure with this reason.
  public init(_ reason: String) { self.reason = reason }
}

/// A key-encapsulation mechanism (sections 1 and 13).
public enum KEM: Sendable, Hashable, CaseIterable {
  /// Kyber1024 of the third round of NIST's competition, not the "90s" variant.
  case kyber1024
  /// ML-KEM-1024 (FIPS 203).
  case mlkem1024

  /// The size of an encapsulation key in bytes, the same for both.
  public static let encapsulationKeySize = 1568
  /// The size of a ciphertext in bytes, the same for both.
  public static let ciphertextSize = 1568
  /// The size of a shared secret in bytes, the same for both.
  public static let sharedSecretSize = 32
}

/// The result of an encapsulation.
public struct Encapsulation: Sendable {
  /// The ciphertext for the holder of the private key, 1568 bytes.
  public let ciphertext: [UInt8]
  /// The shared secret, 32 bytes.
  public let sharedSecret: Secret

  /// Creates the result of a ciphertext and its secret.
  public init(ciphertext: [UInt8], sharedSecret: Secret) {
    self.ciphertext = ciphertext
    self.sharedSecret = sharedSecret
  }
}

/// HMAC-SHA-512 under one key.
public protocol MessageAuthenticator {
  /// Returns the 64-byte code of `message`.
  func authenticationCode(for message: RawSpan) -> Secret
}

/// A P-384 private key.
public protocol AgreementPrivateKey: AnyObject, Sendable {
  /// The public part.
  var publicKey: PublicKey { get }

  /// Returns the x-coordinate of the shared point: 48 bytes, including leading zeros (SP 800-56A).
  ///
  /// - Throws: ``CryptoFailure`` if the agreement fails.
  func sharedSecret(with publicKey: any AgreementPublicKey) throws(CryptoFailure) -> Secret
}

/// A decoded P-384 public key, known to be on the curve.
public protocol AgreementPublicKey: AnyObject, Sendable {
  /// The encoded form.
  var encoded: PublicKey { get }
}

/// The private part of a key for key encapsulation.
public protocol DecapsulationKey: AnyObject, Sendable {
  /// The public part, 1568 bytes.
  var encapsulationKey: [UInt8] { get }

  /// Returns the shared secret (32 bytes) of `ciphertext` (1568 bytes). A ciphertext that was not
  /// made for this key gives an unpredictable secret (implicit rejection), not an error.
  ///
  /// - Throws: ``CryptoFailure`` if the ciphertext has another size.
  func decapsulate(_ ciphertext: RawSpan) throws(CryptoFailure) -> Secret
}

extension CryptoProvider {
  /// Returns `count` random bytes.
  package func random(_ count: Int) -> Secret {
    Secret(count: count) { bytes in fillRandom(&bytes) }
  }

  /// Returns a random integer of all bits, big-endian from the generator's bytes.
  package func randomInteger<Value: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(_ type: Value.Type) -> Value
  {
    random(Value.bitWidth / 8).bytes.load(type, at: 0)
  }
}

// SPDX-License-Identifier: Apache-2.0

import Crypto
public import ZSSP

/// The default provider: swift-crypto, which is BoringSSL on Linux and CryptoKit on Apple's
/// systems.
///
/// The value is empty and free to copy. Every primitive is swift-crypto's own except SHAKE256, for
/// which swift-crypto has no public API. It turns an ML-KEM-1024 secret into a Kyber1024 secret
/// (section 1 of the specification).
public struct SwiftCryptoProvider: CryptoProvider {
  /// Creates the provider. It needs no setup.
  public init() {}

  /// "swift-crypto", or "CryptoKit" if swift-crypto passes every call to it.
  public var name: String {
    #if canImport(CryptoKit)
      "CryptoKit"
    #else
      "swift-crypto"
    #endif
  }

  /// Fills `bytes` from the operating system's generator: `getrandom` on Linux, `arc4random_buf` on
  /// Apple's systems.
  ///
  /// It is the generator that swift-crypto draws its own keys from.
  public func fillRandom(_ bytes: inout MutableRawSpan) {
    var generator = SystemRandomNumberGenerator()
    var offset = 0
    while offset < bytes.byteCount {
      var word: UInt64 = generator.next()
      for _ in 0..<min(8, bytes.byteCount - offset) {
        bytes.store(UInt8(truncatingIfNeeded: word), at: offset)
        word >>= 8
        offset += 1
      }
    }
  }

  // [PRIM-1]
  /// Returns the SHA-512 (FIPS 180-4) of `first || second`.
  public func hash(_ first: RawSpan, _ second: RawSpan) -> ZSSP.Digest {
    var hasher = SHA512()
    first.withUnsafeBytes { hasher.update(bufferPointer: $0) }
    second.withUnsafeBytes { hasher.update(bufferPointer: $0) }
    let value = hasher.finalize()
    return ZSSP.Digest { output in
      value.withUnsafeBytes { output.write(RawSpan(_unsafeBytes: $0), at: 0) }
    }
  }

  // [PRIM-2]
  /// Returns HMAC-SHA-512 (FIPS 198-1) under `key`, which may be empty.
  public func authenticator(key: RawSpan) -> any MessageAuthenticator { HMACAuthenticator(key: key) }

  /// Returns a new P-384 key of 48 bytes from ``fillRandom(_:)``.
  public func generateAgreementKey() -> any AgreementPrivateKey { P384AgreementKey.random(from: self) }

  /// Returns the P-384 private key of 48 big-endian bytes.
  ///
  /// - Throws: `CryptoFailure` if the key is zero or not below the group order.
  public func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
    try P384AgreementKey(privateBytes: privateBytes)
  }

  /// Decodes a compressed point of P-384.
  ///
  /// - Throws: `CryptoFailure` if it is not on the curve.
  public func agreementPublicKey(_ key: PublicKey) throws(CryptoFailure) -> any AgreementPublicKey {
    try P384PublicKey(key)
  }

  /// Returns a new ML-KEM-1024 key, which serves both algorithms: their keys have the same
  /// encoding.
  public func generateEncapsulationKey(for algorithm: ZSSP.KEM) -> any DecapsulationKey {
    MLKEM1024DecapsulationKey.random(for: algorithm)
  }

  /// Makes a shared secret for the holder of the private part of `encapsulationKey`.
  ///
  /// - Throws: `CryptoFailure` unless the key has 1568 bytes and passes the modulus check of FIPS
  ///   203 section 7.2.
  public func encapsulate(to encapsulationKey: RawSpan, for algorithm: ZSSP.KEM) throws(CryptoFailure) -> Encapsulation
  {
    try mlkem1024Encapsulate(to: encapsulationKey, for: algorithm)
  }

  // [PRIM-3]
  /// Returns AES-256-GCM under `key`, which must be 32 bytes.
  public func packetKey(_ key: Secret) -> any PacketKey { GCMPacketKey(key) }

  // [PRIM-4]
  /// Returns AES-256 on single blocks under `key`, which must be 32 bytes.
  public func headerKey(_ key: Secret) -> any HeaderKey { BlockHeaderKey(key) }

  /// Checks every function against known answers, and new keys for consistency. Also checks
  /// SHAKE256, and ML-KEM-1024 with a known seed.
  ///
  /// - Throws: `SelfTestFailure` with the first function that failed.
  public func selfTest() throws(SelfTestFailure) {
    try SelfTest(self).run()
    try SelfTest.require(SelfTest.isSHAKE256(Keccak.shake256(_:appending:count:)), for: .shake256, of: self)
    let decapsulates = SelfTest.decapsulates(self) { seed, algorithm in
      try? MLKEM1024DecapsulationKey(seed: seed, for: algorithm)
    }
    try SelfTest.require(decapsulates, for: .decapsulation, of: self)
  }
}

extension CryptoProvider where Self == SwiftCryptoProvider {
  /// swift-crypto, the default provider.
  public static var swiftCrypto: SwiftCryptoProvider { SwiftCryptoProvider() }
}

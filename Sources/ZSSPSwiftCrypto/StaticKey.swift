// SPDX-License-Identifier: Apache-2.0

import Crypto
public import ZSSP

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A long-term P-384 private key, and its form as text.
///
/// The text is PEM, as OpenSSL and others read and write it:
///
///     openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out key.pem
///
/// The key is wiped when its last owner releases it. Its text cannot be wiped: a `String` leaves
/// copies in memory.
public struct StaticKey: Sendable {
  private let key: P384AgreementKey

  /// Creates a new key, of bytes from the operating system's generator.
  public init() { key = .random(from: .swiftCrypto) }

  /// Reads a key from the first private key in a PEM text: PKCS#8 (`PRIVATE KEY`) or SEC1 (`EC
  /// PRIVATE KEY`), not encrypted. The text around it is ignored.
  ///
  /// - Throws: ``KeyTextError``, which says what is wrong with the text.
  public init(pem: String) throws(KeyTextError) {
    var der = try PEM.privateKey(in: pem)
    defer { der.resetBytes(in: der.startIndex..<der.endIndex) }
    guard PEM.namesP384(der), let key = try? P384AgreementKey(P384.KeyAgreement.PrivateKey(derRepresentation: der))
    else { throw .notP384 }
    self.key = key
  }

  /// The key as PKCS#8 in PEM: six lines that begin with `-----BEGIN PRIVATE KEY-----`. It ends
  /// with a line feed.
  public var pem: String { key.key.pemRepresentation + "\n" }

  /// The public part, which peers must know. Its form as text is `text`.
  public var publicKey: PublicKey { key.publicKey }

  /// The key for ``SwiftCryptoProvider``.
  public var agreementKey: any AgreementPrivateKey { key }

  /// Returns the key for another provider.
  ///
  /// - Throws: `CryptoFailure` if the provider refuses a valid key, which none should.
  public func agreementKey(for provider: any CryptoProvider) throws(CryptoFailure) -> any AgreementPrivateKey {
    var raw = key.key.rawRepresentation
    defer { raw.resetBytes(in: raw.startIndex..<raw.endIndex) }
    return try provider.agreementKey(privateBytes: Secret(copying: raw).bytes)
  }
}

extension StaticKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The public part, without the private one.
  public var description: String { "StaticKey(\(publicKey.text))" }
  /// The public part, without the private one.
  public var debugDescription: String { description }
  /// A mirror without children, so that `dump` shows nothing of the private part.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSP
import ZSSPProviders

@testable import ZSSPSwiftCrypto

#if OpenSSL
  @testable import ZSSPOpenSSL
#endif

/// The content of `Vectors/Known/<name>.json`: answers of others (see the README there).
func knownAnswers(_ name: String) throws -> JSON {
  let file = try #require(
    Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors/Known"))
  return try JSONDecoder().decode(JSON.self, from: Data(contentsOf: file))
}

/// Counts what was compared and what a provider cannot take, and prints both.
struct BatchCounts {
  let title: String
  private(set) var accepted = 0
  private(set) var refused = 0
  private(set) var exceptions: [String: Int] = [:]

  init(_ title: String) { self.title = title }

  /// A case with an answer, which was compared.
  mutating func accept() { accepted += 1 }
  /// A case that must be refused, and was.
  mutating func refuse() { refused += 1 }
  /// Cases that cannot be put to a provider, and why.
  mutating func except(_ reason: String, count: Int = 1) { exceptions[reason, default: 0] += count }

  var excepted: Int { exceptions.values.reduce(0, +) }

  func report() {
    print("known answers: \(title): \(accepted) equal, \(refused) refused, \(excepted) not run")
    for (reason, count) in exceptions.sorted(by: { $0.key < $1.key }) {
      print("known answers: \(title): not run: \(count): \(reason)")
    }
  }
}

extension CryptoProvider {
  /// The key of a 64-byte seed; nil where the provider's library takes none through this package.
  func decapsulationKey(seed: [UInt8], for algorithm: ZSSP.KEM) throws -> (any DecapsulationKey)? {
    switch self {
    case is SwiftCryptoProvider: return try MLKEM1024DecapsulationKey(seed: seed.rawBytes, for: algorithm)
    case let derived as any DerivedProvider: return try derived.base.decapsulationKey(seed: seed, for: algorithm)
    #if OpenSSL
      case let openSSL as OpenSSLProvider where !openSSL.hasOwnEncapsulation:
        let inner = try MLKEM1024DecapsulationKey(seed: seed.rawBytes, for: .mlkem1024)
        return algorithm == .mlkem1024 ? inner : openSSL.kyberKey(inner)
    #endif
    default: return nil
    }
  }

  /// The provider's own SHAKE256; nil if it has none.
  func shake256(_ message: [UInt8], count: Int) -> [UInt8]? {
    let empty = [UInt8]()
    switch self {
    case is SwiftCryptoProvider:
      return Keccak.shake256(message.rawBytes, appending: empty.rawBytes, count: count).bytes.array
    case let derived as any DerivedProvider: return derived.base.shake256(message, count: count)
    #if OpenSSL
      case let openSSL as OpenSSLProvider:
        return openSSL.library.shake256(message.rawBytes, appending: empty.rawBytes, count: count).bytes.array
    #endif
    default: return nil
    }
  }

  /// Returns the Kyber1024 secret that the provider makes of an ML-KEM-1024 secret (section 1); nil
  /// if it leaves that to another.
  func kyberSecret(_ secret: [UInt8], ciphertext: [UInt8]) -> [UInt8]? {
    switch self {
    case is SwiftCryptoProvider: return kyber1024Secret(secret.rawBytes, ciphertext: ciphertext.rawBytes).bytes.array
    case let derived as any DerivedProvider: return derived.base.kyberSecret(secret, ciphertext: ciphertext)
    #if OpenSSL
      case let openSSL as OpenSSLProvider:
        return openSSL.library.kyberSecret(secret.secret, ciphertext: ciphertext.rawBytes).bytes.array
    #endif
    default: return nil
    }
  }
}

#if OpenSSL
  extension OpenSSLProvider {
    func kyberKey(_ inner: any DecapsulationKey) -> any DecapsulationKey {
      KyberDecapsulationKey(inner, library: library)
    }
  }
#endif

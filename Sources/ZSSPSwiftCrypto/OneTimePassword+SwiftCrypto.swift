// SPDX-License-Identifier: Apache-2.0

public import ZSSP

extension OneTimePassword {
  /// Generates a password of 256 random bits from the operating system's generator, 44 characters
  /// of base64.
  public static func generate() -> OneTimePassword { generate(from: .swiftCrypto) }
}

extension RatchetStore {
  /// Stores the state of a one-time password for a peer that the store does not know.
  /// ``SwiftCryptoProvider`` derives the state; every provider derives the same. It is durable when
  /// this returns.
  ///
  /// - Parameters:
  ///   - peer: the peer's static key.
  ///   - password: the password that the peer has, too.
  /// - Throws: `RatchetStoreError` if the store fails.
  public func enrol(_ peer: PublicKey, with password: OneTimePassword) async throws(RatchetStoreError) -> Enrolment {
    try await enrol(peer, with: password, provider: .swiftCrypto)
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The self test of a provider: known answers, refusals, and pairwise consistency of new keys.
///
/// All answers are built in. A run takes a few milliseconds, most of them for eight operations on
/// P-384. An error that a function throws counts as a wrong answer, so `try?` hides nothing here.
package struct SelfTest {
  private let provider: any CryptoProvider

  package init(_ provider: any CryptoProvider) { self.provider = provider }

  /// Tests every function that all providers have, and throws at the first that fails.
  package func run() throws(SelfTestFailure) {
    for (function, holds) in Self.steps {
      try Self.require(holds(provider), for: function, of: provider)
    }
  }

  /// Throws a failure of `function` unless `holds`.
  package static func require(
    _ holds: Bool, for function: SelfTestFunction, of provider: any CryptoProvider
  ) throws(SelfTestFailure) {
    guard holds else { throw SelfTestFailure(provider: provider.name, function: function) }
  }

  private static let steps: [(SelfTestFunction, @Sendable (any CryptoProvider) -> Bool)] = [
    (.sha512, sha512), (.hmac, hmac), (.kbkdf, kbkdf), (.gcmSeal, gcmSeals), (.gcmOpen, gcmOpens),
    (.blockEncrypt, encryptsBlock), (.blockDecrypt, decryptsBlock), (.agreement, agrees),
    (.keyValidation, validatesKeys), (.agreementPair, agreementPair), (.mlkemPair, { kemPair($0, for: .mlkem1024) }),
    (.kyberPair, { kemPair($0, for: .kyber1024) }), (.random, draws),
  ]

  // MARK: Hashes

  private static func sha512(_ provider: any CryptoProvider) -> Bool {
    let first = [UInt8]("a".utf8)
    let second = [UInt8]("bc".utf8)
    let digest = provider.hash(first.rawBytes, second.rawBytes)
    return digest.bytes.hexadecimal == KnownAnswer.sha512
  }

  private static func hmac(_ provider: any CryptoProvider) -> Bool {
    let key = [UInt8]("Jefe".utf8)
    let message = [UInt8]("what do ya want for nothing?".utf8)
    let authenticator = provider.authenticator(key: key.rawBytes)
    // The second code uses the authenticator's saved state of the key.
    return (0..<2).allSatisfy { _ in
      authenticator.authenticationCode(for: message.rawBytes).bytes.hexadecimal == KnownAnswer.hmac
    }
  }

  private static func kbkdf(_ provider: any CryptoProvider) -> Bool {
    let key = bytes(KnownAnswer.kbkdfKey)
    let fixedInput = bytes(KnownAnswer.kbkdfFixedInput)
    let outputs = KBKDF.counterMode(1, key: key.rawBytes, fixedInput: fixedInput.rawBytes, provider: provider)
    // NIST's answer is cut to 320 bits.
    return outputs[0].prefix(40).bytes.hexadecimal == KnownAnswer.kbkdf
  }

  // MARK: AES

  private static func gcmSeals(_ provider: any CryptoProvider) -> Bool {
    let plaintext = bytes(KnownAnswer.gcmPlaintext)
    let additional = bytes(KnownAnswer.gcmAdditional)
    var output = [UInt8](repeating: 0, count: plaintext.count + 16)
    let key = provider.packetKey(Secret(copying: bytes(KnownAnswer.gcmKey).rawBytes))
    output.withMutableBytes {
      key.seal(plaintext.rawBytes, nonce: gcmNonce, authenticating: additional.rawBytes, into: &$0)
    }
    return output.rawBytes.hexadecimal == KnownAnswer.gcmSealed
  }

  private static func gcmOpens(_ provider: any CryptoProvider) -> Bool {
    let sealed = bytes(KnownAnswer.gcmSealed)
    let additional = bytes(KnownAnswer.gcmAdditional)
    let key = provider.packetKey(Secret(copying: bytes(KnownAnswer.gcmKey).rawBytes))
    func open(_ message: [UInt8]) -> [UInt8]? {
      var message = message
      let isAuthentic = message.withMutableBytes {
        key.open(&$0, nonce: gcmNonce, authenticating: additional.rawBytes)
      }
      return isAuthentic ? [UInt8](message.dropLast(16)) : nil
    }
    guard open(sealed) == bytes(KnownAnswer.gcmPlaintext) else { return false }
    return [0, sealed.count - 16, sealed.count - 1].allSatisfy { index in
      var changed = sealed
      changed[index] ^= 1
      return open(changed) == nil
    }
  }

  private static var gcmNonce: Nonce {
    let nonce = bytes(KnownAnswer.gcmNonce)
    return Nonce(InlineArray<12, UInt8> { nonce[$0] })
  }

  private static func encryptsBlock(_ provider: any CryptoProvider) -> Bool {
    block(provider, input: KnownAnswer.blockPlaintext) { $0.encrypt(&$1) } == KnownAnswer.blockCiphertext
  }

  private static func decryptsBlock(_ provider: any CryptoProvider) -> Bool {
    block(provider, input: KnownAnswer.blockCiphertext) { $0.decrypt(&$1) } == KnownAnswer.blockPlaintext
  }

  private static func block(
    _ provider: any CryptoProvider, input: String, work: (any HeaderKey, inout MutableRawSpan) -> Void
  ) -> String {
    let key = provider.headerKey(Secret(copying: bytes(KnownAnswer.blockKey).rawBytes))
    var block = bytes(input)
    block.withMutableBytes { work(key, &$0) }
    return block.rawBytes.hexadecimal
  }

  // MARK: P-384

  private static func agrees(_ provider: any CryptoProvider) -> Bool {
    guard let encoded = PublicKey(bytes(KnownAnswer.agreementPublic)),
      let key = try? provider.agreementKey(privateBytes: bytes(KnownAnswer.agreementPrivate).rawBytes),
      let peer = try? provider.agreementPublicKey(encoded), let secret = try? key.sharedSecret(with: peer)
    else { return false }
    let own = key.publicKey
    return secret.bytes.hexadecimal == KnownAnswer.agreementSecret
      && own.bytes.hexadecimal == KnownAnswer.agreementOwnPublic
  }

  private static func validatesKeys(_ provider: any CryptoProvider) -> Bool {
    // No point of the curve has the x-coordinate 1.
    let offCurve = [2] + [UInt8](repeating: 0, count: 47) + [1]
    let prime = [3] + bytes(KnownAnswer.fieldPrime)
    for encoding in [offCurve, prime] {
      guard let key = PublicKey(encoding) else { return false }
      if (try? provider.agreementPublicKey(key)) != nil { return false }
    }
    return [[UInt8](repeating: 0, count: 48), bytes(KnownAnswer.groupOrder), .init(repeating: 0xff, count: 48)]
      .allSatisfy { (try? provider.agreementKey(privateBytes: $0.rawBytes)) == nil }
  }

  private static func agreementPair(_ provider: any CryptoProvider) -> Bool {
    let first = provider.generateAgreementKey()
    let second = provider.generateAgreementKey()
    guard first.publicKey != second.publicKey, let firstPublic = try? provider.agreementPublicKey(first.publicKey),
      let secondPublic = try? provider.agreementPublicKey(second.publicKey),
      let left = try? first.sharedSecret(with: secondPublic), let right = try? second.sharedSecret(with: firstPublic)
    else { return false }
    return left.count == 48 && left == right
  }

  // MARK: Key encapsulation, randomness

  private static func kemPair(_ provider: any CryptoProvider, for algorithm: KEM) -> Bool {
    let key = provider.generateEncapsulationKey(for: algorithm)
    guard let made = try? provider.encapsulate(to: key.encapsulationKey.rawBytes, for: algorithm),
      let opened = try? key.decapsulate(made.ciphertext.rawBytes), opened.count == 32, opened == made.sharedSecret
    else { return false }
    var changed = made.ciphertext
    changed[0] ^= 1
    guard let rejected = try? key.decapsulate(changed.rawBytes) else { return false }
    return !(rejected == opened)
  }

  private static func draws(_ provider: any CryptoProvider) -> Bool {
    let first = provider.random(32)
    let second = provider.random(32)
    return !(first == second) && !(first == .zeros(32)) && !(second == .zeros(32))
  }

  // MARK: Functions that only some providers have

  /// Returns true if `compute` returns SHAKE256 of its first two arguments joined, with the output
  /// size of its third.
  package static func isSHAKE256(_ compute: (_ first: RawSpan, _ second: RawSpan, _ count: Int) -> Secret) -> Bool {
    let message = bytes(KnownAnswer.shakeMessage)
    let output = compute(message.rawBytes.extracting(0..<32), message.rawBytes.extracting(32..<64), 32)
    return output.bytes.hexadecimal == KnownAnswer.shake256
  }

  /// Returns true if `makeKey` derives the key of a known seed, and the key rejects a ciphertext as
  /// FIPS 203 and section 1 require.
  package static func decapsulates(
    _ provider: any CryptoProvider, makeKey: (_ seed: RawSpan, _ algorithm: KEM) -> (any DecapsulationKey)?
  ) -> Bool {
    let seed = bytes(KnownAnswer.mlkemSeed)
    let ciphertext = (0..<KEM.ciphertextSize).map { UInt8(truncatingIfNeeded: $0) }
    return KEM.allCases.allSatisfy { algorithm in
      guard let key = makeKey(seed.rawBytes, algorithm),
        let secret = try? key.decapsulate(ciphertext.rawBytes)
      else { return false }
      let keyHash = provider.hash(key.encapsulationKey.rawBytes, [UInt8]().rawBytes)
      let expected = algorithm == .mlkem1024 ? KnownAnswer.mlkemRejected : KnownAnswer.kyberRejected
      return keyHash.bytes.hexadecimal == KnownAnswer.mlkemKeyHash && secret.bytes.hexadecimal == expected
    }
  }

  /// Returns the bytes of a text of lower-case hexadecimal digits, which must be valid.
  package static func bytes(_ text: String) -> [UInt8] {
    let digits = text.utf8.map { $0 < 0x40 ? $0 - 0x30 : $0 - 0x57 }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}

extension CryptoProvider {
  /// Checks every function of the provider against known answers, and its new keys for consistency.
  /// It takes milliseconds.
  ///
  /// It logs nothing. Run it before the first use of the provider if a standard requires that.
  ///
  /// - Throws: ``SelfTestFailure`` with the first function that failed.
  public func selfTest() throws(SelfTestFailure) { try SelfTest(self).run() }
}

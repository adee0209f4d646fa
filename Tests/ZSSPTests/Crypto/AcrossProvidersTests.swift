// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPRandom

/// Each provider understands the output of each other.
@Suite("Across providers", .tags(.fast))
struct AcrossProvidersTests {
  @Test("what one seals the other opens", arguments: allProviders, allProviders)
  func packets(_ sealer: any CryptoProvider, _ opener: any CryptoProvider) {
    var generator = SplitMix64(seed: 1)
    let secret = generator.bytes(32).secret
    let sealing = sealer.packetKey(secret)
    let opening = opener.packetKey(secret)
    // Around the blocks of the fast implementations, and the largest of the protocol.
    let largest = TestSelection.isAll ? [48 * 65_491 - 16] : []
    let sizes = Array(0...300) + [511, 512, 513, 767, 768, 769, 1400, 4096, 65_000] + largest
    for (counter, size) in sizes.enumerated() {
      let plaintext = generator.bytes(size)
      let additional = generator.bytes(counter % 70)
      let nonce = Nonce(type: UInt8(counter % 10), counter: generator.next())
      var message = [UInt8](repeating: 0, count: size + 16)
      message.withMutableBytes {
        sealing.seal(plaintext.rawBytes, nonce: nonce, authenticating: additional.rawBytes, into: &$0)
      }
      let sealed = message
      let opened = message.withMutableBytes { opening.open(&$0, nonce: nonce, authenticating: additional.rawBytes) }
      #expect(opened && message.prefix(size).elementsEqual(plaintext), "\(size) bytes")
      var forged = sealed
      forged[counter % forged.count] ^= 1
      #expect(!forged.withMutableBytes { opening.open(&$0, nonce: nonce, authenticating: additional.rawBytes) })
      // One key opens and seals in turn.
      var again = [UInt8](repeating: 0, count: size + 16)
      again.withMutableBytes {
        opening.seal(plaintext.rawBytes, nonce: nonce, authenticating: additional.rawBytes, into: &$0)
      }
      #expect(again == sealed, "\(size) bytes")
    }
  }

  @Test("what one encrypts for a header the other decrypts", arguments: allProviders, allProviders)
  func headers(_ encryptor: any CryptoProvider, _ decryptor: any CryptoProvider) {
    var generator = SplitMix64(seed: 2)
    for _ in 0..<20 {
      let secret = generator.bytes(32).secret
      let encrypting = encryptor.headerKey(secret)
      let decrypting = decryptor.headerKey(secret)
      for _ in 0..<20 {
        let clear = generator.bytes(16)
        var block = clear
        block.withMutableBytes { encrypting.encrypt(&$0) }
        #expect(block != clear)
        block.withMutableBytes { decrypting.decrypt(&$0) }
        #expect(block == clear)
      }
    }
  }

  @Test("hashes and codes are the same", arguments: allProviders, allProviders)
  func hashes(_ one: any CryptoProvider, _ other: any CryptoProvider) {
    var generator = SplitMix64(seed: 3)
    for size in 0...300 {
      let first = generator.bytes(size)
      let second = generator.bytes(size % 130)
      let digest = one.hash(first.rawBytes, second.rawBytes).bytes.hexadecimal
      #expect(other.hash(first.rawBytes, second.rawBytes).bytes.hexadecimal == digest)
      let code = one.authenticator(key: second.rawBytes)
      let same = other.authenticator(key: second.rawBytes)
      #expect(code.authenticationCode(for: first.rawBytes) == same.authenticationCode(for: first.rawBytes))
    }
  }

  @Test("P-384 secrets agree, and a private key can be moved", arguments: allProviders, allProviders)
  func agreement(_ one: any CryptoProvider, _ other: any CryptoProvider) throws {
    for _ in 0..<4 {
      let scalar = one.random(48)
      // The chance that it is not below the order is 2^-190.
      let a = try one.agreementKey(privateBytes: scalar.bytes)
      let moved = try other.agreementKey(privateBytes: scalar.bytes)
      #expect(a.publicKey == moved.publicKey)
      let b = other.generateAgreementKey()
      let fromA = try a.sharedSecret(with: one.agreementPublicKey(b.publicKey))
      #expect(try fromA == b.sharedSecret(with: other.agreementPublicKey(a.publicKey)))
      #expect(try fromA == moved.sharedSecret(with: other.agreementPublicKey(b.publicKey)))
      // Keys that the other provider decoded serve as well.
      #expect(try fromA == a.sharedSecret(with: other.agreementPublicKey(b.publicKey)))
    }
  }

  @Test("KEM secrets agree", arguments: allProviders, allProviders)
  func encapsulation(_ one: any CryptoProvider, _ other: any CryptoProvider) throws {
    for algorithm in KEM.allCases {
      let key = one.generateEncapsulationKey(for: algorithm)
      let result = try other.encapsulate(to: key.encapsulationKey.rawBytes, for: algorithm)
      #expect(try key.decapsulate(result.ciphertext.rawBytes) == result.sharedSecret)
    }
  }

  @Test("two endpoints talk", arguments: allProviders, allProviders)
  func endpoints(_ one: any CryptoProvider, _ other: any CryptoProvider) throws {
    let pair = try Pair(provider: one, providerOfBob: other)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    let answered = try #require(pair.bob.establishedSession)
    #expect(pair.alice.rekey(session, at: pair.now))
    pair.settle()
    let messages = [0, 1, 1400, 60_000].map { [UInt8](repeating: UInt8($0 % 251), count: $0) }
    for message in messages {
      try pair.alice.send(message, on: session, at: pair.now)
      try pair.bob.send(message, on: answered, at: pair.now)
    }
    pair.settle()
    #expect(pair.bob.messages.map(\.bytes) == messages && pair.alice.messages.map(\.bytes) == messages)
    #expect(pair.alice.chainLength(session) == 2 && pair.bob.chainLength(answered) == 2)
  }
}

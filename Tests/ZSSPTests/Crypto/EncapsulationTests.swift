// SPDX-License-Identifier: Apache-2.0

import Crypto
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPSwiftCrypto

@Suite("ML-KEM-1024 and Kyber1024", .tags(.fast))
struct EncapsulationTests {
  // [PRIM-6]
  @Test("encapsulation and decapsulation agree", arguments: providers, ZSSP.KEM.allCases)
  func roundTrip(_ provider: any CryptoProvider, _ algorithm: ZSSP.KEM) throws {
    let key = provider.generateEncapsulationKey(for: algorithm)
    #expect(key.encapsulationKey.count == 1568)
    let first = try provider.encapsulate(to: key.encapsulationKey.rawBytes, for: algorithm)
    let second = try provider.encapsulate(to: key.encapsulationKey.rawBytes, for: algorithm)
    #expect(first.ciphertext.count == 1568)
    #expect(first.ciphertext != second.ciphertext)
    #expect(first.sharedSecret.count == 32)
    #expect(!(first.sharedSecret == second.sharedSecret))
    for result in [first, second] {
      #expect(try key.decapsulate(result.ciphertext.rawBytes) == result.sharedSecret)
    }
    #expect(provider.generateEncapsulationKey(for: algorithm).encapsulationKey != key.encapsulationKey)
  }

  @Test("a changed ciphertext gives another secret, always the same one", arguments: providers, ZSSP.KEM.allCases)
  func implicitRejection(_ provider: any CryptoProvider, _ algorithm: ZSSP.KEM) throws {
    let key = provider.generateEncapsulationKey(for: algorithm)
    let result = try provider.encapsulate(to: key.encapsulationKey.rawBytes, for: algorithm)
    for index in [0, 783, 1567] {
      var changed = result.ciphertext
      changed[index] ^= 1
      let secret = try key.decapsulate(changed.rawBytes)
      #expect(!(secret == result.sharedSecret))
      #expect(try key.decapsulate(changed.rawBytes) == secret)
      #expect(secret.count == 32)
    }
  }

  // [PRIM-8]
  @Test("malformed keys and ciphertexts are refused", arguments: providers, ZSSP.KEM.allCases)
  func malformed(_ provider: any CryptoProvider, _ algorithm: ZSSP.KEM) throws {
    let key = provider.generateEncapsulationKey(for: algorithm)
    let good = key.encapsulationKey
    // The first coefficient, and the last, not below q = 3329: the modulus check of FIPS 203
    // section 7.2.
    let firstTooLarge = [0x01, good[1] & 0xf0 | 0x0d] + good[2...]
    let lastTooLarge = good[..<1534] + [good[1534] & 0x0f | 0x10, 0xd0] + good[1536...]
    let refused: [[UInt8]] = [
      [], [UInt8](good.dropLast()), good + [0], .init(repeating: 0xff, count: 1568), [UInt8](firstTooLarge),
      [UInt8](lastTooLarge),
    ]
    for bytes in refused {
      #expect(throws: CryptoFailure.self) { _ = try provider.encapsulate(to: bytes.rawBytes, for: algorithm) }
    }
    let ciphertext = try provider.encapsulate(to: good.rawBytes, for: algorithm).ciphertext
    for bytes in [[], [UInt8](ciphertext.dropLast()), ciphertext + [0]] {
      #expect(throws: CryptoFailure.self) { _ = try key.decapsulate(bytes.rawBytes) }
    }
  }

  @Test(
    "swift-crypto decapsulates what another implementation made",
    arguments: try vectors("primitives")["mlkem1024"]["cases"].array, ZSSP.KEM.allCases)
  func known(_ vector: JSON, _ algorithm: ZSSP.KEM) throws {
    let name = algorithm == .mlkem1024 ? "mlkem1024" : "kyber1024"
    let seed = try vector["seed"].bytes
    let key = try MLKEM1024DecapsulationKey(seed: seed.rawBytes, for: algorithm)
    #expect(key.encapsulationKey == (try vector["encapsulation_key"].bytes))
    var ciphertext = try vector["ciphertext"].bytes
    #expect(try key.decapsulate(ciphertext.rawBytes).hex == vector[name].string)
    ciphertext[try vector["rejected_byte"].int] ^= UInt8(try vector["rejected_xor"].int)
    #expect(try key.decapsulate(ciphertext.rawBytes).hex == vector["rejected_" + name].string)
  }

  @Test("a seed of another size is none")
  func seeds() {
    for count in [0, 32, 63, 65] {
      let seed = [UInt8](repeating: 7, count: count)
      #expect(throws: CryptoFailure.self) { try MLKEM1024DecapsulationKey(seed: seed.rawBytes, for: .mlkem1024) }
    }
  }

  // [PRIM-9] [PROF-6]
  @Test("the two algorithms share keys and ciphertexts, not secrets", arguments: providers)
  func algorithms(_ provider: any CryptoProvider) throws {
    let seed = provider.random(64)
    let mlkem = try MLKEM1024DecapsulationKey(seed: seed.bytes, for: .mlkem1024)
    let kyber = try MLKEM1024DecapsulationKey(seed: seed.bytes, for: .kyber1024)
    let encapsulationKey = mlkem.encapsulationKey
    #expect(encapsulationKey == kyber.encapsulationKey)
    let result = try provider.encapsulate(to: encapsulationKey.rawBytes, for: .kyber1024)
    #expect(try kyber.decapsulate(result.ciphertext.rawBytes) == result.sharedSecret)
    let inner = try mlkem.decapsulate(result.ciphertext.rawBytes)
    #expect(!(inner == result.sharedSecret))
    #expect(kyber1024Secret(inner.bytes, ciphertext: result.ciphertext.rawBytes) == result.sharedSecret)
  }

  // [PRIM-6] [PRIM-9]
  /// A round-3 key cannot be loaded, but what the round-3 scheme hashes last can be worked out from
  /// the recorded random draws: `Kbar` is the first half of `SHA3-512(SHA3-256(m) ||
  /// SHA3-256(pk))`, and `z` stands for it when rejecting.
  @Test("the last hash of a round-3 Kyber1024", arguments: try vectors("unit")["kyber1024_round3"]["cases"].array)
  func round3(_ vector: JSON) throws {
    let random = [UInt8](SHA3_256.hash(data: try vector["m_random"].bytes))
    let key = [UInt8](SHA3_256.hash(data: try vector["public_key"].bytes))
    let preliminary = [UInt8](SHA3_512.hash(data: random + key).prefix(32))
    var ciphertext = try vector["ciphertext"].bytes
    #expect(
      kyber1024Secret(preliminary.rawBytes, ciphertext: ciphertext.rawBytes).hex == (try vector["shared_secret"].string)
    )
    ciphertext[try vector["bad_ciphertext_flip_byte"].int] ^= UInt8(try vector["bad_ciphertext_flip_xor"].int)
    let z = try vector["z"].bytes
    let rejected = kyber1024Secret(z.rawBytes, ciphertext: ciphertext.rawBytes)
    #expect(rejected.hex == (try vector["bad_shared_secret"].string))
  }
}

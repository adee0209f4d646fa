// SPDX-License-Identifier: Apache-2.0
import Crypto
import Testing
import ZSSPTestSupport
import ZSSP

/// NIST's and Wycheproof's answers for ML-KEM-1024, and the known-answer file of Kyber1024's third
/// round.
///
/// A provider draws its own randomness and keeps its own private keys. What it cannot take is
/// computed by ``PlainKEM``, which is first held against the same answers: so a provider's
/// ciphertext is opened under NIST's private key, and what was encapsulated with NIST's randomness
/// is opened under a provider's.
@Suite("Known answers of others: key encapsulation", .tags(.fast))
struct KnownEncapsulationTests {
  @Test("the plain ML-KEM-1024 gives NIST's answers")
  func plain() throws {
    let file = try knownAnswers("mlkem1024")
    let plain = PlainKEM(algorithm: .mlkem1024)
    var tally = BatchCounts("ML-KEM-1024, plain")
    for vector in try file["keys"].array {
      let seed = try vector["seed"].bytes
      let keys = plain.keys(d: [UInt8](seed[..<32]), z: [UInt8](seed[32...]))
      #expect(try digest(keys.encapsulation) == vector["ek_sha256"].string)
      #expect(try digest(keys.decapsulation) == vector["dk_sha256"].string)
      tally.accept()
    }
    for vector in try file["encapsulations"].array {
      let key = try vector["dk"].bytes
      let made = plain.encapsulate(to: [UInt8](key[1536..<3104]), m: try vector["m"].bytes)
      #expect(try made.ciphertext.hex == vector["c"].string && made.secret.hex == vector["k"].string)
      #expect(plain.decapsulate(made.ciphertext, with: key) == made.secret)
      tally.accept()
    }
    for vector in try file["expanded"].array {
      #expect(try plain.decapsulate(vector["c"].bytes, with: vector["dk"].bytes).hex == vector["k"].string)
      tally.accept()
    }
    tally.report()
    #expect(tally.accepted == 60)
  }

  @Test("keys and secrets of known seeds", arguments: providers)
  func seeds(_ provider: any CryptoProvider) throws {
    var tally = BatchCounts("ML-KEM-1024 keys and decapsulation, \(provider.name)")
    let file = try knownAnswers("mlkem1024")
    for vector in try file["keys"].array + file["decapsulations"].array {
      let name = try vector["id"].string
      let seed = try vector["seed"].bytes
      let isRefused = vector["result"].isNull ? false : try vector["result"].string == "invalid"
      guard isRefused || seed.count == 64 else { throw HexError(text: "a seed of \(seed.count) bytes") }
      var made: (any DecapsulationKey)?
      var isAccepted = true
      do { made = try provider.decapsulationKey(seed: seed, for: .mlkem1024) } catch { isAccepted = false }
      guard isAccepted else {
        #expect(isRefused, "\(name)")
        tally.refuse()
        continue
      }
      guard let key = made else {
        tally.except("the provider's library takes no seed through this package")
        continue
      }
      if !isRefused { #expect(try digest(key.encapsulationKey) == vector["ek_sha256"].string) }
      guard !vector["c"].isNull else {
        tally.accept()
        continue
      }
      let ciphertext = try vector["c"].bytes
      let secret = decapsulated(ciphertext, with: key)
      if isRefused {
        #expect(secret == nil, "\(name)")
        tally.refuse()
      } else {
        #expect(try secret == vector["k"].string, "\(name)")
        tally.accept()
      }
    }
    tally.except("a provider takes no expanded private key", count: try file["expanded"].array.count)
    tally.report()
    #expect(tally.accepted + tally.refused + tally.excepted == 25 + 222 + 10)
  }

  @Test("encapsulation to known keys, and keys that are refused", arguments: providers)
  func encapsulation(_ provider: any CryptoProvider) throws {
    var tally = BatchCounts("ML-KEM-1024 encapsulation, \(provider.name)")
    let file = try knownAnswers("mlkem1024")
    let plain = PlainKEM(algorithm: .mlkem1024)
    for vector in try file["encapsulations"].array {
      let key = try vector["dk"].bytes
      let made = try provider.encapsulate(to: [UInt8](key[1536..<3104]).rawBytes, for: .mlkem1024)
      #expect(plain.decapsulate(made.ciphertext, with: key) == made.sharedSecret.bytes.array)
      tally.accept()
    }
    for vector in try file["encapsulation_keys"].array {
      let name = try vector["id"].string
      let key = try vector["ek"].bytes
      for algorithm in ZSSP.KEM.allCases {
        #expect(try isTaken(key, algorithm: algorithm, provider: provider) == vector["valid"].bool, "\(name)")
      }
      if try vector["valid"].bool { tally.accept() } else { tally.refuse() }
    }
    for exception in try file["exceptions"].array { tally.except(try exception["reason"].string) }
    tally.report()
    #expect(tally.accepted == 30 && tally.refused == 141 && tally.excepted == 143)
  }

  @Test("the plain Kyber1024 gives the known-answer file of the third round")
  func plainKyber() throws {
    var tally = BatchCounts("Kyber1024 round 3, plain")
    let plain = PlainKEM(algorithm: .kyber1024)
    for vector in try knownAnswers("kyber1024").array {
      let keys = plain.keys(d: try vector["d"].bytes, z: try vector["z"].bytes)
      #expect(try digest(keys.encapsulation) == vector["pk_sha256"].string)
      #expect(try digest(keys.decapsulation) == vector["sk_sha256"].string)
      let made = plain.encapsulate(to: keys.encapsulation, m: try vector["m"].bytes)
      #expect(try made.ciphertext.hex == vector["ct"].string && made.secret.hex == vector["ss"].string)
      #expect(plain.decapsulate(made.ciphertext, with: keys.decapsulation) == made.secret)
      tally.accept()
    }
    tally.report()
    #expect(tally.accepted == 20)
  }

  /// Section 1: a provider's Kyber1024 is its ML-KEM-1024 and one hash. The secret before that hash
  /// is the plain ML-KEM's under the known key, the one after it is the known answer.
  @Test("Kyber1024 round 3, in both directions", arguments: providers)
  func kyber(_ provider: any CryptoProvider) throws {
    var tally = BatchCounts("Kyber1024 round 3, \(provider.name)")
    let mlkem = PlainKEM(algorithm: .mlkem1024)
    let plain = PlainKEM(algorithm: .kyber1024)
    for vector in try knownAnswers("kyber1024").array.prefix(8) {
      let keys = plain.keys(d: try vector["d"].bytes, z: try vector["z"].bytes)
      let ciphertext = try vector["ct"].bytes
      let wanted = try vector["ss"].string
      // The secret that ML-KEM's decapsulation gives under the known private key, and the
      // provider's hash of it.
      let hashed = provider.kyberSecret(
        mlkem.decapsulate(ciphertext, with: keys.decapsulation), ciphertext: ciphertext)?.hex
      if hashed == nil { tally.except("the provider leaves Kyber1024 to another") } else { tally.accept() }
      #expect(hashed == nil || hashed == wanted)
      // What the provider encapsulates to the known key opens under it.
      let made = try encapsulated(to: keys.encapsulation, provider)
      #expect(plain.decapsulate(made.ciphertext, with: keys.decapsulation) == made.secret)
      // And what is encapsulated with the known randomness opens under the provider's key, or is
      // rejected.
      let own = provider.generateEncapsulationKey(for: .kyber1024)
      let other = plain.encapsulate(to: own.encapsulationKey, m: try vector["m"].bytes)
      #expect(decapsulated(other.ciphertext, with: own) == other.secret.hex)
      #expect(decapsulated(ciphertext, with: own) != wanted)
    }
    tally.report()
    #expect(tally.accepted + tally.excepted == 8)
  }

  /// Returns the secret in hexadecimal digits; nil if the ciphertext is refused.
  private func decapsulated(_ ciphertext: [UInt8], with key: any DecapsulationKey) -> String? {
    do { return try key.decapsulate(ciphertext.rawBytes).hex } catch { return nil }
  }

  private func encapsulated(
    to key: [UInt8], _ provider: any CryptoProvider
  ) throws -> (ciphertext: [UInt8], secret: [UInt8]) {
    let made = try provider.encapsulate(to: key.rawBytes, for: .kyber1024)
    return (made.ciphertext, made.sharedSecret.bytes.array)
  }

  /// Returns whether the provider encapsulates to a key.
  private func isTaken(_ key: [UInt8], algorithm: ZSSP.KEM, provider: any CryptoProvider) -> Bool {
    do {
      _ = try provider.encapsulate(to: key.rawBytes, for: algorithm)
      return true
    } catch {
      return false
    }
  }

  /// SHA-256, in hexadecimal digits.
  private func digest(_ bytes: [UInt8]) -> String { [UInt8](SHA256.hash(data: bytes)).hex }
}

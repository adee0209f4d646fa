// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

/// NIST's and Wycheproof's answers, for every provider. Each test prints how many it compared, and
/// which it could not.
@Suite("Known answers of others", .tags(.fast))
struct KnownAnswerTests {
  @Test("P-384 key agreement", arguments: providers)
  func agreement(_ provider: any CryptoProvider) throws {
    var tally = BatchCounts("ECDH P-384, \(provider.name)")
    for vector in try knownAnswers("ecdh").array {
      if !vector["exception"].isNull {
        tally.except(try vector["exception"].string)
        continue
      }
      let name = try vector["id"].string
      let result = try vector["result"].string
      let secret = try agree(provider, vector: vector)
      let changed = try vector["note"].string.contains("Z changed")
      switch result {
      // Acceptable are a point in compressed form and encodings around the point, which is the
      // same.
      case "valid", "acceptable":
        #expect(secret == (try vector["shared"].string), "\(name)")
        tally.accept()
      case "invalid" where changed:
        let given = try vector["shared"].string
        #expect(secret != nil && secret != given, "\(name)")
        tally.refuse()
      default:
        #expect(secret == nil, "\(name)")
        tally.refuse()
      }
    }
    tally.report()
    #expect(tally.accepted == 807 && tally.refused == 7 && tally.excepted == 305)
  }

  /// Returns the secret in hexadecimal digits; nil if a key is refused.
  private func agree(_ provider: any CryptoProvider, vector: JSON) throws -> String? {
    let encoded = try vector["public"].bytes
    let scalar = try vector["private"].bytes
    guard let point = PublicKey(encoded) else { return nil }
    do {
      let key = try provider.agreementKey(privateBytes: scalar.rawBytes)
      return try key.sharedSecret(with: provider.agreementPublicKey(point)).hex
    } catch {
      return nil
    }
  }

  @Test("AES-256-GCM, whole and in pieces", arguments: providers)
  func gcm(_ provider: any CryptoProvider) throws {
    var tally = BatchCounts("AES-256-GCM, \(provider.name)")
    var pieces = BatchCounts("AES-256-GCM in pieces, \(provider.name)")
    for vector in try knownAnswers("aes_gcm").array {
      let name = try vector["id"].string
      let iv = try vector["iv"].bytes
      let sealed = try vector["sealed"].bytes
      let additional = try vector["aad"].bytes
      let sample = PacketKeyTests.Sample(
        key: provider.packetKey(try vector["key"].bytes.secret), nonce: Nonce(InlineArray<12, UInt8> { iv[$0] }),
        plaintext: try vector["message"].bytes, additional: additional)
      let isValid = try vector["result"].string == "valid"
      if isValid {
        #expect(sample.seal() == sealed, "\(name)")
        #expect(sample.open(sealed) == sample.plaintext, "\(name)")
        #expect(sample.open([UInt8](sealed.dropFirst())) == nil || sealed.count == 16, "\(name), truncated")
        tally.accept()
      } else {
        #expect(sample.open(sealed) == nil, "\(name)")
        tally.refuse()
      }
      guard let stream = sample.key.makeStream() else {
        pieces.except("the provider has no stream")
        continue
      }
      guard additional.isEmpty else {
        pieces.except("a stream takes no additional data")
        continue
      }
      let (opened, authentic) = open(stream, nonce: sample.nonce, sealed: sealed)
      #expect(authentic == isValid && (!isValid || opened == sample.plaintext), "\(name)")
      if isValid { pieces.accept() } else { pieces.refuse() }
    }
    tally.report()
    pieces.report()
    #expect(tally.accepted == 598 && tally.refused == 218)
  }

  /// Opens a message in pieces of 7 bytes.
  private func open(_ stream: any PacketStream, nonce: Nonce, sealed: [UInt8]) -> ([UInt8], Bool) {
    var message = [UInt8](sealed.dropLast(16))
    stream.begin(.opening, nonce: nonce)
    for start in stride(from: 0, to: message.count, by: 7) {
      message.withMutableBytes { bytes in
        var piece = bytes.slice(start..<min(start + 7, bytes.byteCount))
        stream.update(&piece)
      }
    }
    return (message, stream.finish(expecting: [UInt8](sealed.suffix(16)).rawBytes))
  }

  @Test("KBKDF, in counter mode with HMAC-SHA-512", arguments: providers)
  func kbkdf(_ provider: any CryptoProvider) throws {
    var tally = BatchCounts("KBKDF, \(provider.name)")
    for vector in try knownAnswers("kbkdf").array {
      let name = try vector["id"].string
      let wanted = try vector["output"].bytes
      let key = try vector["key"].bytes
      let fixed = try vector["fixed"].bytes
      let outputs = KBKDF.counterMode(
        (wanted.count + 63) / 64, key: key.rawBytes, fixedInput: fixed.rawBytes, provider: provider)
      #expect([UInt8](outputs.flatMap { $0.bytes.array }.prefix(wanted.count)) == wanted, "\(name)")
      tally.accept()
    }
    tally.report()
    #expect(tally.accepted == 40)
  }

  /// The fixed input of section 2, put together here, on the counter mode that NIST's answers were
  /// compared with.
  @Test("the protocol's KBKDF is that counter mode", arguments: providers)
  func fixedInput(_ provider: any CryptoProvider) {
    let key = [UInt8](0..<48)
    let context = [UInt8](100..<164)
    for count in 1...3 {
      let fixed = [UInt8]("ASKR".utf8) + [0] + context + [UInt8((512 * count) >> 8), 0]
      let direct = KBKDF.counterMode(count, key: key.rawBytes, fixedInput: fixed.rawBytes, provider: provider)
      let derived = KBKDF.derive(
        count, key: key.rawBytes, label: "ASKR", context: context.rawBytes, provider: provider)
      #expect(direct.map(\.hex) == derived.map(\.hex))
    }
  }

  @Test("SHAKE256", arguments: providers)
  func shake(_ provider: any CryptoProvider) throws {
    var tally = BatchCounts("SHAKE256, \(provider.name)")
    let empty = provider.shake256([], count: 1)
    for vector in try knownAnswers("shake256").array {
      let name = try vector["id"].string
      let wanted = try vector["output"].bytes
      guard empty != nil else {
        tally.except("the provider has no SHAKE256 of its own")
        continue
      }
      let output = provider.shake256(try vector["message"].bytes, count: wanted.count)
      #expect(output == wanted, "\(name)")
      tally.accept()
    }
    tally.report()
    #expect(tally.accepted + tally.excepted == 407)
  }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPSwiftCrypto

@Suite("AES-256-GCM", .tags(.fast))
struct PacketKeyTests {
  static let cases: [JSON] = (try? vectors("primitives")["aes_gcm"]["cases"].array) ?? []

  @Test("the vectors are there") func present() { #expect(Self.cases.count == 10) }

  // [PRIM-3]
  @Test("known ciphertexts", arguments: providers, cases)
  func known(_ provider: any CryptoProvider, _ vector: JSON) throws {
    let sample = try Sample(provider, vector: vector)
    #expect(sample.seal().hex == (try vector["sealed"].string))
    #expect(sample.open(try vector["sealed"].bytes) == sample.plaintext)
  }

  @Test("a changed bit anywhere is refused", arguments: providers, cases)
  func changed(_ provider: any CryptoProvider, _ vector: JSON) throws {
    let sample = try Sample(provider, vector: vector)
    let sealed = sample.seal()
    for index in Set([0, sealed.count / 2, sealed.count - 17, sealed.count - 16, sealed.count - 1])
    where sealed.indices.contains(index) {
      var changed = sealed
      changed[index] ^= 0x40
      #expect(sample.open(changed) == nil, "byte \(index)")
    }
    for shorter in [sealed.dropLast(), sealed.dropFirst()] where shorter.count >= 16 {
      #expect(sample.open([UInt8](shorter)) == nil)
    }
    #expect(sample.open(sealed) == sample.plaintext, "the key still works after refusals")
  }

  @Test("another nonce, other additional data or another key is refused", arguments: providers, cases)
  func elsewhere(_ provider: any CryptoProvider, _ vector: JSON) throws {
    let sample = try Sample(provider, vector: vector)
    let sealed = sample.seal()
    let type = sample.nonce.type
    let counter = sample.nonce.counter
    let reserved = sample.nonce.reserved
    for nonce in [
      Nonce(type: type ^ 1, counter: counter, reserved: reserved),
      Nonce(type: type, counter: counter ^ 1, reserved: reserved),
      Nonce(type: type, counter: counter ^ 1 << 63, reserved: reserved),
      Nonce(type: type, counter: counter, reserved: reserved ^ 1),
    ] {
      var other = sample
      other.nonce = nonce
      #expect(other.open(sealed) == nil)
    }
    var other = sample
    other.additional += [0]
    #expect(other.open(sealed) == nil)
    other = sample
    other.key = provider.packetKey(provider.random(32))
    #expect(other.open(sealed) == nil)
  }

  @Test("one key serves packets of all sizes in turn", arguments: providers)
  func sizes(_ provider: any CryptoProvider) {
    let key = provider.packetKey(provider.random(32))
    for (counter, size) in [1400, 0, 20_000, 16, 1, 1400].enumerated() {
      let sample = Sample(
        key: key, nonce: Nonce(type: 8, counter: UInt64(counter)),
        plaintext: .init(repeating: UInt8(counter), count: size), additional: [])
      #expect(sample.open(sample.seal()) == sample.plaintext)
    }
  }

  @Test("swift-crypto agrees under nonces of any form", arguments: try vectors("unit")["aes_gcm"].array)
  func anyNonce(_ vector: JSON) throws {
    let key = GCMPacketKey(try vector["key"].bytes.secret)
    let bytes = try vector["nonce"].bytes
    let nonce = InlineArray<12, UInt8> { bytes[$0] }
    let plaintext = try vector["plaintext"].bytes
    let additional = try vector["aad"].bytes
    var message = [UInt8](repeating: 0, count: plaintext.count + 16)
    message.withMutableBytes {
      key.seal(plaintext.rawBytes, nonce: nonce, authenticating: additional.rawBytes, into: &$0)
    }
    #expect(message.hex == (try vector["ciphertext"].string + vector["tag"].string))
    let opened = message.withMutableBytes { key.open(&$0, nonce: nonce, authenticating: additional.rawBytes) }
    #expect(opened)
    #expect([UInt8](message.dropLast(16)) == plaintext)
  }

  /// A key and what goes with a packet.
  struct Sample {
    var key: any PacketKey
    var nonce: Nonce
    var plaintext: [UInt8]
    var additional: [UInt8]

    func seal() -> [UInt8] {
      var output = [UInt8](repeating: 0xee, count: plaintext.count + 16)
      output.withMutableBytes {
        key.seal(plaintext.rawBytes, nonce: nonce, authenticating: additional.rawBytes, into: &$0)
      }
      return output
    }

    func open(_ sealed: [UInt8]) -> [UInt8]? {
      var message = sealed
      let opened = message.withMutableBytes { key.open(&$0, nonce: nonce, authenticating: additional.rawBytes) }
      return opened ? [UInt8](message.dropLast(16)) : nil
    }
  }
}

extension PacketKeyTests.Sample {
  init(_ provider: any CryptoProvider, vector: JSON) throws {
    self.init(
      key: provider.packetKey(try vector["key"].bytes.secret),
      nonce: Nonce(
        type: UInt8(try vector["type"].int), counter: try vector["counter"].uint64,
        reserved: UInt8(try vector["reserved"].int)),
      plaintext: try vector["plaintext"].bytes, additional: try vector["aad"].bytes)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto

/// The printed form of values, and keys that are read from it.
@Suite(.tags(.fast))
struct PrintedValueTests {
  private static let key = SwiftCryptoProvider().generateAgreementKey().publicKey

  @Test func aKeyHasOneText() throws {
    let key = Self.key
    #expect("\(key)" == key.text && key.description == Data(key.array).base64EncodedString())
    #expect(PublicKey("\(key)") == key && PublicKey(key.hexadecimal) == key)
    #expect(PublicKey(key.hexadecimal.uppercased()) == key)
    #expect(key.hexadecimal.count == 98)
  }

  @Test(arguments: ["", "abc", String(repeating: "A", count: 68), String(repeating: "g", count: 98)])
  func whatIsNoKey(text: String) { #expect(PublicKey(text) == nil) }

  /// One key has one text: bits that mean nothing must be zero.
  @Test func otherTextsOfTheSameBytesAreRefused() throws {
    let text = Self.key.text
    let last = try #require(text.dropLast(2).last)
    for digit in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" where digit != last {
      guard let other = PublicKey(text.dropLast(3) + "\(digit)==") else { continue }
      #expect(other != Self.key)
    }
    #expect(PublicKey(" " + text) == nil)
  }

  @Test func keysAreCodable() throws {
    struct File: Codable, Equatable { var keys: [PublicKey] }
    let file = File(keys: [Self.key])
    let data = try JSONEncoder().encode(file)
    #expect(String(decoding: data, as: UTF8.self).replacing("\\/", with: "/").contains(Self.key.text))
    #expect(try JSONDecoder().decode(File.self, from: data) == file)
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(File.self, from: Data(#"{"keys":["nonsense"]}"#.utf8))
    }
  }

  @Test("base64 is that of Foundation", arguments: 0..<70)
  func base64(count: Int) throws {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ count) }
    let text = Base64.encode(bytes.rawBytes)
    #expect(text == Data(bytes).base64EncodedString())
    #expect(Base64.decode(text) == bytes)
    #expect(Base64.decode(text.dropLast()) == nil || text.isEmpty)
  }

  @Test(arguments: [
    (Address(ipv4: 0xC000_0201, port: 4500), "192.0.2.1:4500"),
    (Address(ipv6: 0x2001_0db8_0000_0000, 1, port: 4500), "[2001:db8::1]:4500"),
    (Address(ipv6: 0, 0, port: 0), "[::]:0"), (Address(ipv6: 0, 1, port: 1), "[::1]:1"),
    (Address(ipv6: 0xfe80_0000_0000_0000, 1, port: 1, scope: 2), "[fe80::1%2]:1"),
    (Address(ipv6: 0x2001_0000_0000_0001, 0x0000_0000_0000_0001, port: 1), "[2001:0:0:1::1]:1"),
    (Address(ipv6: 0x0001_0002_0003_0004, 0x0005_0006_0000_0008, port: 1), "[1:2:3:4:5:6:0:8]:1"),
    (Address(ipv6: 0x0001_0000_0000_0000, 0, port: 1), "[1::]:1"),
  ])
  func addresses(address: Address, text: String) { #expect("\(address)" == text) }

  @Test func reasonsAreWordsWithNames() {
    #expect("\(EndReason.rekeyTimeout)" == "the peer did not answer a re-key in time")
    #expect(EndReason.rekeyTimeout.rawValue == "rekeyTimeout")
    #expect("\(RestartReason.notConfirmed)".contains("did not confirm"))
  }
}

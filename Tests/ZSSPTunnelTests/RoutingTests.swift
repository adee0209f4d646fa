// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSPRandom

@testable import ZSSPTunnel

/// The owner of each address.
@Suite(.tags(.fast))
struct RoutingTests {
  @Test(arguments: [
    ("10.0.0.0/8", true), ("10.1.2.3", true), ("::/0", true), ("2001:db8::1/64", true), ("10.0.0.0/33", false),
    ("10.0.0/8", false), ("10.0.0.0/", false), ("10.0.0.0/+8", false), ("", false), ("/8", false),
    ("fd00::/129", false),
    ("fe80::1%eth0/64", false),
  ])
  func prefixesAreRead(text: String, isOne: Bool) { #expect((IPPrefix(text) != nil) == isOne) }

  @Test func prefixesArePrinted() {
    for text in ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "::/0"] { #expect(IPPrefix(text)?.description == text) }
    #expect(IPPrefix("10.1.2.3/8")?.network.description == "10.0.0.0/8")
  }

  @Test func theLongestWins() throws {
    var table = PrefixTable()
    for (value, text) in ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "::/0", "fd00::/8"].enumerated() {
      #expect(table.insert(try #require(IPPrefix(text)), value) == nil)
    }
    for (text, value) in [
      ("192.0.2.1", 0), ("10.9.9.9", 1), ("10.1.9.9", 2), ("10.1.2.3", 3), ("2001::1", 4), ("fd12::", 5),
    ] {
      #expect(table.value(for: try #require(IPAddress(text))) == value, "\(text)")
    }
    #expect(table.insert(try #require(IPPrefix("10.0.0.0/8")), 9) == 1)
    #expect(table.value(for: try #require(IPAddress("10.9.9.9"))) == 9)
    #expect(table.count == 6)
  }

  @Test func anEmptyTableHasNobody() throws {
    #expect(PrefixTable().value(for: try #require(IPAddress("10.0.0.1"))) == nil)
  }

  /// Ten thousand prefixes of both families, against looking at all of them.
  @Test func tenThousandPrefixes() throws {
    var generator = SplitMix64(seed: 7)
    var table = PrefixTable()
    var all: [IPPrefix: Int] = [:]
    for value in 0..<10_000 {
      let family = value.isMultiple(of: 2) ? IPAddress.Family.v4 : .v6
      // Few first bits, so that many lie within each other.
      let bits =
        UInt128.random(in: 0...15, using: &generator) << 124 | UInt128(generator.next()) << 60 & (UInt128.max << 96)
      let length = Int.random(in: 0...32, using: &generator)
      let prefix = try #require(IPPrefix(IPAddress(family, bits: bits), length: length)).network
      table.insert(prefix, value)
      all[prefix] = value
    }
    #expect(table.count == all.count)
    for _ in 0..<300 {
      let family = Bool.random(using: &generator) ? IPAddress.Family.v4 : .v6
      let bits =
        UInt128.random(in: 0...15, using: &generator) << 124 | UInt128(generator.next()) << 60 & (UInt128.max << 96)
      let address = IPAddress(family, bits: bits)
      let expected = all.filter { $0.key.contains(address) }.max { $0.key.length < $1.key.length }?.value
      #expect(table.value(for: address) == expected)
    }
  }
}

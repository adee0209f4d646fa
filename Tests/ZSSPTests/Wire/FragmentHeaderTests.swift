// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("Fragment headers (section 5)", .tags(.fast))
struct FragmentHeaderTests {
  // [FRAG-3] [PKT-3]
  @Test("recorded headers", arguments: try vectors("unit")["header_encryption"]["cases"].array)
  func recorded(_ vector: JSON) throws {
    let clear = try vector["clear_fragment"].bytes
    let header = FragmentHeader(
      keyID: KeyID(bytes: try vector["kid"].bytes), number: try vector["fragment_no"].int,
      count: try vector["fragment_count"].int,
      type: try #require(PacketType(rawValue: UInt8(try vector["type"].int))),
      counter: try #require(UInt64(try vector["counter"].string)))
    #expect(header.bytes == Array(clear[..<16]))
    #expect(FragmentHeader(datagram: clear) == header)
  }

  // [FRAG-3] [PKT-1]
  /// Each field has a place of its own.
  @Test("fields", arguments: [UInt8(0), 1, 0x7F, 0x80, 0xFF])
  func fields(_ value: UInt8) throws {
    var bytes: [UInt8] = [value, 2, 3, value, 4, 48, value, value, value, 9, 10, 11, 12, 13, 14, value]
    let header = try #require(FragmentHeader(datagram: bytes))
    #expect(header.keyID.value == UInt32(value) << 24 | 0x0002_0300 | UInt32(value))
    #expect((header.number, header.count) == (4, 48))
    #expect((header.reserved, header.type) == (value, value))
    #expect(header.counter == UInt64(value) << 56 | 0x0009_0A0B_0C0D_0E00 | UInt64(value))
    #expect(header.bytes == bytes)
    bytes[4] = 5
    #expect(FragmentHeader(datagram: bytes) != header)
  }

  // [FRAG-2] [FRAG-18]
  @Test(
    "a fragment number is below the count, a count is 1 to 48",
    arguments: [
      (0, 0, false), (0, 1, true), (1, 1, false), (1, 2, true), (47, 48, true), (48, 48, false), (0, 48, true),
      (0, 49, false), (48, 49, false), (255, 255, false), (0, 255, false), (254, 255, false), (255, 0, false),
    ] as [(UInt8, UInt8, Bool)])
  func counts(_ number: UInt8, _ count: UInt8, _ isValid: Bool) {
    var bytes = [UInt8](repeating: 0, count: 32)
    bytes[4] = number
    bytes[5] = count
    #expect((FragmentHeader(datagram: bytes) != nil) == isValid)
  }

  // [PKT-1]
  @Test("key ids are big-endian")
  func keyIDs() {
    #expect(KeyID(value: 0x0102_0304).bytes == [1, 2, 3, 4])
    #expect(KeyID(bytes: [0xFF, 0, 0, 1]) == KeyID(value: 0xFF00_0001))
    #expect(KeyID(bytes: [0, 0, 0, 0]) == .none)
  }

  // [PKT-5] [PKT-6]
  /// The packets of section 4, by their parts.
  @Test("sizes of packets")
  func sizes() {
    #expect(PacketSize.helloWithoutChallenge == 1717)
    #expect(PacketSize.hello == 1749)
    #expect(PacketSize.response == 1653)
    #expect(PacketSize.completionWithoutIdentity == 81)
    #expect(PacketSize.largestCompletion == 81 + 4096)
    #expect(PacketSize.rekey == 85)
    #expect(PacketSize.challengePacket == 36)
    #expect(PacketType.allCases.map(\.rawValue) == Array(0...9))
  }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("Nonces (section 4)", .tags(.fast))
struct NonceTests {
  // [PKT-2] [PKT-3]
  @Test("the twelve bytes of a type and a counter", arguments: try vectors("unit")["nonce"].array)
  func bytes(_ vector: JSON) throws {
    let type = try #require(PacketType(rawValue: UInt8(try vector["type"].int)))
    let counter = try #require(UInt64(try vector["counter"].string))
    let nonce = Nonce(type, counter: counter)
    #expect(nonce.hex == (try vector["aes_gcm_nonce"].string))

    // The last ten bytes are those 6..<16 of the fragment header.
    let header = FragmentHeader(keyID: KeyID(value: 1), number: 0, count: 1, type: type, counter: counter)
    #expect(header.bytes[6...].hex == (try vector["packet_nonce_10"].string))
    #expect(header.nonce == nonce)
  }

  // [PKT-4]
  @Test("the reserved byte is part of the nonce as it was received")
  func reserved() throws {
    let received = try [UInt8](hex: "0102030400015a080000000000000007" + String(repeating: "00", count: 16))
    let header = try #require(FragmentHeader(datagram: received))
    #expect(header.nonce == Nonce(type: 8, counter: 7, reserved: 0x5A))
    #expect(header.nonce.high == 0x5A08)
    #expect(header.nonce.hex == "00005a080000000000000007")
  }

  @Test("high is the first four bytes as an integer", arguments: [0, 1, 8, 9, 255] as [UInt8], [0, 1, 255] as [UInt8])
  func high(_ type: UInt8, _ reserved: UInt8) {
    let nonce = Nonce(type: type, counter: .max, reserved: reserved)
    let bytes = nonce.bytes
    let high = bytes.span.bytes.load(UInt32.self, at: 0)
    #expect(nonce.high == high)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP
import ZSSPSwiftCrypto
import ZSSPTestSupport

@testable import ZSSPCapture

@Suite(.tags(.fast)) struct KeyRingTests {
  private static let key = String(repeating: "0a", count: 32)
  private static let hash = String(repeating: "0b", count: 64)
  private static let session =
    "ZSSP1 SESSION initiator 00000001 00000002 " + Array(repeating: key, count: 6).joined(separator: " ")

  @Test(
    "lines that are read",
    arguments: [
      session, "ZSSP1 HELLO responder 00000001 \(hash) \(key) \(key) \(key)",
      "ZSSP1 RESPONSE initiator 00000001 00000002 \(hash) \(key) \(key) \(key)",
      "ZSSP1 COMPLETION initiator 00000002 \(hash) \(key) \(hash) \(key) \(key) \(key)",
      session.uppercased().replacing("INITIATOR", with: "initiator"),
      "  " + session.replacing(" ", with: "\t") + "\r",
    ])
  func good(line: String) throws {
    let ring = KeyRing(provider: SwiftCryptoProvider())
    try ring.add(line: line[...])
    #expect(ring.lineCount == 1)
  }

  @Test("lines that are left out", arguments: ["", "   ", "# a comment", "#ZSSP1", "ZSSP1 LATER initiator 1 2 3"])
  func ignored(line: String) throws {
    let ring = KeyRing(provider: SwiftCryptoProvider())
    try ring.add(line: line[...])
    #expect(ring.lineCount == 0)
  }

  @Test(
    "lines that are refused",
    arguments: [
      ("CLIENT_RANDOM 1 2", KeyLogError.otherVersion("CLIENT_RANDOM")), ("ZSSP2 SESSION", .otherVersion("ZSSP2")),
      ("ZSSP1", .malformed), ("ZSSP1 SESSION", .malformed), ("ZSSP1 SESSION alice 00000001", .malformed),
      (session + " 00", .malformed), (String(session.dropLast()), .malformed), (session + "0", .malformed),
      (session.replacing("0a", with: "0g"), .malformed), (session.replacing("00000001", with: "00000000"), .malformed),
    ])
  func bad(line: String, error: KeyLogError) {
    let ring = KeyRing(provider: SwiftCryptoProvider())
    #expect(throws: error) { try ring.add(line: line[...]) }
    #expect(!error.description.isEmpty)
  }

  @Test("keys with one id are bounded")
  func bounds() throws {
    let ring = KeyRing(provider: SwiftCryptoProvider())
    for number in 10..<90 {
      try ring.add(line: Self.session.replacing("0a0a", with: "\(number)\(number)")[...])
    }
    #expect(ring.lineCount == 80)
    // The latest ones are there.
    let opened = (10..<90).map { opens(ring, key: Secret(copying: [UInt8](repeating: digits($0), count: 32).rawBytes)) }
    #expect(
      opened.count { $0 } == KeyRing.largestKeysPerID && opened.suffix(KeyRing.largestKeysPerID).allSatisfy { $0 })
  }

  /// The byte that two decimal digits are as hexadecimal ones, as in the keys of this test.
  private func digits(_ number: Int) -> UInt8 { UInt8(((number / 10) << 4) | (number % 10)) }

  /// True if a ring opens a datagram with the key id 1, whose header has protection with a key.
  private func opens(_ ring: KeyRing, key: Secret) -> Bool {
    var datagram = [UInt8](repeating: 0, count: 64)
    let keyID = KeyID([0, 0, 0, 1].rawBytes)
    let header = FragmentHeader(keyID: keyID, number: 0, count: 1, type: .data, counter: 5)
    datagram.withMutableBytes { bytes in
      header.write(to: &bytes)
      var block = bytes.slice(FragmentHeader.protectedBytes)
      ring.provider.headerKey(key).encrypt(&block)
    }
    return ring.open(datagram.rawBytes)?.header.counter == 5
  }
}

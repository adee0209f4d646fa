// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSP

@Suite("Secrets", .tags(.fast))
struct SecretTests {
  @Test("no way of printing shows the bytes")
  func descriptions() {
    let secret = [UInt8]("melon!".utf8).secret
    var dumped = ""
    dump(secret, to: &dumped)
    let texts = [
      "\(secret)", secret.description, secret.debugDescription, String(reflecting: secret), dumped,
      "\(Optional(secret) as Any)", "\([secret])",
      "\(Encapsulation(ciphertext: [], sharedSecret: secret))",
    ]
    for text in texts {
      #expect(text.contains("Secret(6 bytes)"))
      for leak in ["melon", "109", "6d656c6f6e", "6D"] { #expect(!text.contains(leak), "\(text)") }
    }
  }

  @Test(
    "equality is of size and bytes",
    arguments: [
      ([], [], true), ([1], [1], true), ([1], [2], false), ([1, 2, 3], [1, 2], false), ([0], [], false),
      ([1, 2, 3], [0, 2, 3], false), ([1, 2, 3], [1, 2, 0x83], false), ([1, 2, 3], [1, 2, 3], true),
      // Differences that a sum, or an exclusive or over all bytes, would cancel.
      ([1, 2], [2, 1], false), ([0x80, 0x80], [0, 0], false),
    ] as [([UInt8], [UInt8], Bool)])
  func equality(_ left: [UInt8], _ right: [UInt8], _ equal: Bool) {
    #expect((left.secret == right.secret) == equal)
    #expect(constantTimeEqual(left.rawBytes, right.rawBytes) == equal)
  }

  @Test("equality finds each single bit")
  func bits() {
    let bytes = [UInt8](0..<64)
    for bit in 0..<512 {
      var other = bytes
      other[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(!(bytes.secret == other.secret), "bit \(bit)")
    }
  }

  @Test("a prefix is a secret of its own")
  func prefix() {
    var secret: Secret? = [UInt8](0..<64).secret
    let prefix = secret?.prefix(32)
    secret = nil
    #expect(prefix?.hex == [UInt8](0..<32).hex)
    #expect([UInt8](0..<4).secret.prefix(0).count == 0)
    #expect([UInt8](0..<4).secret.prefix(4) == [UInt8](0..<4).secret)
  }

  @Test("new secrets are zero, copies keep their bytes")
  func contents() {
    #expect(Secret.zeros(32).hex == String(repeating: "00", count: 32))
    let filled = Secret(count: 3) { $0.store(UInt8(9), at: 1) }
    #expect(filled.hex == "000900")
    var bytes: [UInt8] = [1, 2, 3]
    let secret = bytes.secret
    let copy = secret
    bytes[0] = 9
    #expect(secret.hex == "010203")
    #expect(copy == secret)
  }

  /// The reason why nothing was written.
  enum Refusal: Error { case refused }

  @Test("an error in the filling closure comes through")
  func failure() {
    #expect(throws: Refusal.refused) {
      _ = try Secret(count: 8) { _ throws(Refusal) in throw .refused }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto

@Suite("Keys as text", .tags(.fast))
struct KeyTextTests {
  @Test(
    "PEM of OpenSSL",
    arguments: [
      (KeyTexts.pkcs8, KeyTexts.publicKey),
      (KeyTexts.sec1, KeyTexts.publicKey),
      (KeyTexts.withParameters, KeyTexts.publicKeyWithParameters),
      ("# a comment\n\n" + KeyTexts.pkcs8 + "\n\nand more", KeyTexts.publicKey),
      (KeyTexts.pkcs8.replacing("\n", with: "\r\n"), KeyTexts.publicKey),
      (KeyTexts.pkcs8.replacing("\n", with: " \n\t  "), KeyTexts.publicKey),
      (KeyTexts.publicPEM + "\n" + KeyTexts.sec1, KeyTexts.publicKey),
      (KeyTexts.pkcs8 + "\n" + KeyTexts.withParameters, KeyTexts.publicKey),
    ])
  func pem(_ text: String, _ publicKey: String) throws {
    let key = try StaticKey(pem: text)
    #expect(key.publicKey.text == publicKey)
    #expect(key.agreementKey.publicKey == key.publicKey)
  }

  @Test("our PEM is the one of OpenSSL")
  func written() throws {
    #expect(try StaticKey(pem: KeyTexts.pkcs8).pem == KeyTexts.pkcs8 + "\n")
    #expect(try StaticKey(pem: KeyTexts.sec1).pem == KeyTexts.pkcs8 + "\n")
  }

  @Test("a new key survives being written and read", arguments: providers)
  func roundTrip(_ provider: any CryptoProvider) throws {
    let key = StaticKey()
    #expect(key.publicKey != StaticKey().publicKey)
    let read = try StaticKey(pem: key.pem)
    #expect(read.publicKey == key.publicKey)
    // Each provider computes the same with it.
    let peer = provider.generateAgreementKey()
    let moved = try read.agreementKey(for: provider)
    #expect(moved.publicKey == key.publicKey)
    let secret = try moved.sharedSecret(with: provider.agreementPublicKey(peer.publicKey))
    #expect(try secret == peer.sharedSecret(with: provider.agreementPublicKey(key.publicKey)))
    #expect(try secret == key.agreementKey.sharedSecret(with: provider.agreementPublicKey(peer.publicKey)))
  }

  @Test(
    "PEM that is refused, and why",
    arguments: [
      ("", .noPEMBlock),
      ("hello\nworld", .noPEMBlock),
      (KeyTexts.publicKey, .noPEMBlock),
      (String(KeyTexts.pkcs8.dropLast(5)), .noPEMBlock),
      (String(KeyTexts.pkcs8.dropFirst(5)), .noPEMBlock),
      ("-----BEGIN PRIVATE KEY-----", .noPEMBlock),
      ("-----BEGIN PRIVATE KEY-----\n-----END EC PRIVATE KEY-----", .noPEMBlock),
      ("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", .malformedPEM),
      (KeyTexts.pkcs8.replacing("MIG2", with: "MI*2"), .malformedPEM),
      (KeyTexts.publicPEM, .notPrivateKey(label: "PUBLIC KEY")),
      (KeyTexts.encrypted, .encrypted),
      (KeyTexts.encryptedSEC1, .encrypted),
      (KeyTexts.p256, .notP384),
      (KeyTexts.brainpool, .notP384),
      (KeyTexts.pkcs8.replacing("PRIVATE", with: "RSA PRIVATE"), .notP384),
      // A line is missing; the private scalar is too large.
      (KeyTexts.pkcs8.split(separator: "\n").filter { !$0.hasPrefix("nlTR") }.joined(separator: "\n"), .notP384),
      (
        KeyTexts.sec1.replacing("BDB2C8n8fmoA", with: "BDD/////////").replacing("AbA8ioTu", with: "////////")
          .replacing("SwnnyUTAhT1JXabx", with: "////////////////"), .notP384
      ),
      ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", .notP384),
    ] as [(String, KeyTextError)])
  func refusedPEM(_ text: String, _ error: KeyTextError) {
    #expect(throws: error) { _ = try StaticKey(pem: text) }
  }

  @Test("a public key as base64 and as hexadecimal digits, with space around")
  func publicKeys() throws {
    let key = try StaticKey(pem: KeyTexts.pkcs8).publicKey
    #expect(key.text == KeyTexts.publicKey)
    #expect(key.text.count == 68)
    for text in [
      key.text, " \t" + key.text + "\r\n", key.hexadecimal, "\n" + key.hexadecimal + " ", key.hexadecimal.uppercased(),
    ] {
      #expect(try PublicKey(text: text) == key, "\(text)")
    }
  }

  static let hex = "03" + String(repeating: "00", count: 48)

  @Test(
    "public keys that are refused, and why",
    arguments: [
      ("", .wrongLength(0)),
      (" \n ", .wrongLength(0)),
      (String(KeyTexts.publicKey.dropLast()), .wrongLength(67)),
      (KeyTexts.publicKey + "=", .wrongLength(69)),
      (String(hex.dropLast()), .wrongLength(97)),
      (hex + "0", .wrongLength(99)),
      ("*" + KeyTexts.publicKey.dropFirst(), .notBase64),
      (String(KeyTexts.publicKey.prefix(34)) + " " + String(KeyTexts.publicKey.suffix(33)), .notBase64),
      // 51 bytes, 50 bytes, and bits behind the last byte.
      (KeyTexts.publicKey.replacing("==", with: "AA"), .notBase64),
      (KeyTexts.publicKey.replacing("==", with: "A="), .notBase64),
      (KeyTexts.publicKey.replacing("mQ==", with: "mR=="), .notBase64),
      (String(hex.dropLast()) + "g", .notHexadecimal),
      ("0x" + String(hex.dropLast(2)), .notHexadecimal),
      (String(hex.dropLast(2)) + "é", .notHexadecimal),
      (String(hex.dropLast(3)) + "４", .notHexadecimal),
      ("04" + hex.dropFirst(2), .notCompressedPoint(firstByte: 4)),
      ("00" + hex.dropFirst(2), .notCompressedPoint(firstByte: 0)),
      ("B" + KeyTexts.publicKey.dropFirst(), .notCompressedPoint(firstByte: 7)),
      ("02" + String(repeating: "f", count: 96), .notOnCurve),
      (String(hex.dropLast()) + "1", .notOnCurve),
    ] as [(String, KeyTextError)])
  func refusedPublicKeys(_ text: String, _ error: KeyTextError) {
    #expect(throws: error) { _ = try PublicKey(text: text) }
  }

  @Test("errors say what would be right, and no key material")
  func descriptions() {
    let all: [KeyTextError] = [
      .wrongLength(12), .notBase64, .notHexadecimal, .notCompressedPoint(firstByte: 4), .notOnCurve, .noPEMBlock,
      .notPrivateKey(label: "CERTIFICATE"), .encrypted, .malformedPEM, .notP384,
    ]
    #expect(Set(all.map(\.description)).count == all.count)
    #expect(KeyTextError.wrongLength(12).description.contains("12 characters"))
    #expect(KeyTextError.notCompressedPoint(firstByte: 4).description.contains("begins with 4"))
    #expect(KeyTextError.notPrivateKey(label: "CERTIFICATE").description.contains("CERTIFICATE"))
  }

  @Test("no way of printing a static key shows its private part")
  func noLeak() throws {
    let key = try StaticKey(pem: KeyTexts.pkcs8)
    var dumped = ""
    dump(key, to: &dumped)
    for text in ["\(key)", String(reflecting: key), dumped] {
      #expect(text.contains("StaticKey(\(KeyTexts.publicKey))"))
      #expect(text.count < 100)
    }
  }
}

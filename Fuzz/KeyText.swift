// SPDX-License-Identifier: Apache-2.0
import Foundation
@testable import ZSSP
@testable import ZSSPSwiftCrypto

/// Keys as text: base64, hexadecimal digits, PEM. What is read can be written and read again, and
/// means the same.
func fuzz(_ input: inout FuzzInput) {
  switch input.byte() % 4 {
  case 0: readPublicKey(input.restAsText())
  case 1: readPrivateKey(input.restAsText())
  case 2:
    // Straight to what is inside the block.
    let label = input.flag() ? "PRIVATE KEY" : "EC PRIVATE KEY"
    readPrivateKey("-----BEGIN \(label)-----\n\(Data(input.rest()).base64EncodedString())\n-----END \(label)-----\n")
  default:
    // 49 bytes, which are a key if there is such a point.
    let bytes = input.bytes(PublicKey.size)
    readPublicKey(Data(bytes).base64EncodedString())
    readPublicKey(bytes.rawBytes.hexadecimal)
  }
}

private func readPublicKey(_ text: String) {
  do {
    let key = try PublicKey(text: text)
    let base64 = key.text
    let digits = key.hexadecimal
    expect(base64.utf8.count == 68 && digits.utf8.count == 98, "the sizes that the errors speak of")
    expect((try? PublicKey(text: base64)) == key, "base64 can be read again")
    expect((try? PublicKey(text: digits.uppercased())) == key, "hexadecimal digits can be read again, of either case")
    let given = text.trimmed
    expect(given == base64 || given.lowercased() == digits, "one key has one text of each kind")
  } catch {
    expect(!error.description.isEmpty, "an error says what is wrong")
  }
}

private func readPrivateKey(_ text: String) {
  do {
    let key = try StaticKey(pem: text)
    let again = try StaticKey(pem: "anything before\n" + key.pem + "anything behind\n")
    expect(again.publicKey == key.publicKey, "a private key can be read again")
    expect((try? PublicKey(text: key.publicKey.text)) == key.publicKey, "its public key is one")
  } catch {
    expect(!error.description.isEmpty, "an error says what is wrong")
  }
}

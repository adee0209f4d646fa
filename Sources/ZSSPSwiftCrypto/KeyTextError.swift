// SPDX-License-Identifier: Apache-2.0

/// The reason why a text is not a key. The description says what is wrong and what to do; it never
/// repeats key material.
public enum KeyTextError: Error, Equatable, CustomStringConvertible {
  /// A public key has 68 characters of base64 or 98 hexadecimal digits; this text has another
  /// number of characters.
  case wrongLength(Int)
  /// The text of 68 characters is not base64 of 49 bytes.
  case notBase64
  /// The text of 98 characters has other characters than hexadecimal digits.
  case notHexadecimal
  /// The bytes of a public key begin with this byte, not with 02 or 03 as a compressed point does.
  case notCompressedPoint(firstByte: UInt8)
  /// The bytes of a public key have the right form, but no point of P-384 has this x-coordinate.
  case notOnCurve
  /// The text has no PEM block, or one without an end.
  case noPEMBlock
  /// The text has a PEM block of this kind, which is not a private key.
  case notPrivateKey(label: String)
  /// The private key is encrypted with a passphrase.
  case encrypted
  /// The lines of the private key are not base64.
  case malformedPEM
  /// The private key is not of P-384, or is damaged.
  case notP384

  /// The problem, in one sentence for people.
  public var description: String {
    switch self {
    case .wrongLength(let count):
      "a public key has 68 characters of base64 or 98 hexadecimal digits, but this text has \(count) characters"
    case .notBase64:
      "a public key of 68 characters must be base64 (A-Z, a-z, 0-9, +, /) and end with =="
    case .notHexadecimal:
      "a public key of 98 characters must be hexadecimal digits"
    case .notCompressedPoint(let byte):
      "a public key is a compressed point, which begins with byte 2 or 3, but this one begins with \(byte)"
    case .notOnCurve:
      "the public key is not a point of the curve P-384; was it copied whole?"
    case .noPEMBlock:
      "there is no PEM block: a private key begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----"
    case .notPrivateKey(let label):
      "a private key was expected, but this is a PEM block of the kind \"\(label)\""
    case .encrypted:
      "the private key is encrypted with a passphrase; decrypt it first: openssl pkcs8 -in encrypted.pem -out key.pem"
    case .malformedPEM:
      "the lines of the private key are not base64; was the file copied whole?"
    case .notP384:
      "the private key is damaged or not of the curve P-384 (secp384r1)"
    }
  }
}

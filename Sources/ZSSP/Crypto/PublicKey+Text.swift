// SPDX-License-Identifier: Apache-2.0

extension PublicKey: LosslessStringConvertible {
  /// The key as text: base64 of the 49 bytes, 68 characters that end with `==`.
  public var description: String { Base64.encode(bytes) }

  /// The encoding in 98 lower-case hexadecimal digits.
  public var hexadecimal: String { bytes.hexadecimal }

  /// Reads a key from base64 (68 characters) or hexadecimal digits (98, of either case). Nil if the
  /// text is neither.
  ///
  /// This does not check that the bytes are a point of the curve. A ``CryptoProvider`` checks it
  /// when a session is opened. `PublicKey(text:)` in `ZSSPSwiftCrypto` checks it at once, and its
  /// error says what is wrong.
  public init?(_ description: String) {
    let bytes = description.utf8.count == 68 ? Base64.decode(description) : Self.hexadecimalBytes(description)
    guard let bytes, let key = PublicKey(bytes) else { return nil }
    self = key
  }

  private static func hexadecimalBytes(_ text: String) -> [UInt8]? {
    let digits = text.utf8.map { $0 < 128 ? Character(UnicodeScalar($0)).hexDigitValue : nil }
    guard digits.count == 2 * size else { return nil }
    var bytes: [UInt8] = []
    for index in 0..<size {
      guard let high = digits[2 * index], let low = digits[2 * index + 1] else { return nil }
      bytes.append(UInt8(high << 4 | low))
    }
    return bytes
  }
}

extension PublicKey: Codable {
  /// Reads the key from a string, as ``init(_:)-(String)`` does.
  ///
  /// - Throws: `DecodingError.dataCorrupted` if the string is not a key, and the decoder's own
  ///   errors.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let key = PublicKey(text) else {
      throw DecodingError.dataCorruptedError(
        in: container,
        debugDescription: "a public key is 68 characters of base64 or 98 hexadecimal digits, not "
          + "\"\(text.prefix(100))\"")
    }
    self = key
  }

  /// Writes the key as a string in base64.
  ///
  /// - Throws: the errors of the encoder.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

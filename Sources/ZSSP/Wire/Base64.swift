// SPDX-License-Identifier: Apache-2.0

/// Base64 with padding (RFC 4648, section 4). Its timing depends on the characters, so it is not
/// meant for secrets.
package enum Base64 {
  private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let padding = UInt8(ascii: "=")

  /// Returns the text of the bytes: four characters for each three of them.
  package static func encode(_ bytes: RawSpan) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.byteCount + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.byteCount, by: 3) {
      let count = min(3, bytes.byteCount - start)
      var group = 0
      for offset in 0..<3 { group = group << 8 | (offset < count ? Int(bytes[byte: start + offset]) : 0) }
      for place in 0..<4 { text.append(place <= count ? digits[group >> (18 - 6 * place) & 63] : padding) }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Returns the bytes of a text. Nil if the text is not exactly the one that ``encode(_:)``
  /// returns for them.
  package static func decode(_ text: some StringProtocol) -> [UInt8]? {
    let characters = Array(text.utf8)
    guard characters.count.isMultiple(of: 4) else { return nil }
    let padded = characters.reversed().prefix(2).prefix { $0 == padding }.count
    var bytes = [UInt8]()
    var group = 0
    var bits = 0
    for character in characters.dropLast(padded) {
      guard let digit = digits.firstIndex(of: character) else { return nil }
      group = (group << 6 | digit) & 0xFFF
      bits += 6
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(truncatingIfNeeded: group >> bits))
      }
    }
    // The last bits carry no data and must be zero, so that one value has one text.
    return group & ((1 << bits) - 1) == 0 ? bytes : nil
  }
}

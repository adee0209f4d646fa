// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The kinds of lines of a key log.
enum KeyLogLine: String {
  case hello = "HELLO"
  case response = "RESPONSE"
  case completion = "COMPLETION"
  case session = "SESSION"

  /// The sizes of the fields in bytes: key ids of 4, hashes of 64, keys of 32.
  var sizes: [Int] {
    switch self {
    // kid_A, hash and key of the fingerprints, hk to the initiator and to the responder
    case .hello: [4, 64, 32, 32, 32]
    // kid_A, kid_B, hash and key of kid_B, hk
    case .response: [4, 4, 64, 32, 32, 32]
    // kid_B, hash and key of the static key, hash and key of the identity, hk
    case .completion: [4, 64, 32, 64, 32, 32, 32]
    // the two key ids, hk, kek and nk, each to the initiator and to the responder
    case .session: [4, 4, 32, 32, 32, 32, 32, 32]
    }
  }
}

/// The fields of a line, each of the size that its kind asks for.
struct KeyLogFields {
  private let fields: [[UInt8]]

  /// Reads hexadecimal digits. Returns nil if a field has another size, or their number is another.
  init?(_ words: ArraySlice<Substring>, sizes: [Int]) {
    guard words.count == sizes.count else { return nil }
    var fields: [[UInt8]] = []
    for (word, size) in zip(words, sizes) {
      guard let bytes = Self.bytes(word), bytes.count == size else { return nil }
      // No key has the id 0.
      if size == KeyID.size, bytes.allSatisfy({ $0 == 0 }) { return nil }
      fields.append(bytes)
    }
    self.fields = fields
  }

  func keyID(_ index: Int) -> KeyID {
    let field = fields[index]
    return KeyID(field.rawBytes)
  }

  func secret(_ index: Int) -> Secret {
    let field = fields[index]
    return Secret(copying: field.rawBytes)
  }

  /// The hash and the key in two fields that follow each other.
  func sealed(at index: Int) -> KeyRing.Sealed { KeyRing.Sealed(hash: fields[index], key: secret(index + 1)) }

  private static func bytes(_ word: Substring) -> [UInt8]? {
    var bytes: [UInt8] = []
    var high: UInt8?
    for digit in word.utf8 {
      guard let value = value(of: digit) else { return nil }
      if let first = high {
        bytes.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    return high == nil ? bytes : nil
  }

  private static func value(of digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import ZSSP

/// The content of `Vectors/<name>.json`.
func vectors(_ name: String) throws -> JSON {
  let file = try #require(Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors"))
  return try JSONDecoder().decode(JSON.self, from: Data(contentsOf: file))
}

/// A JSON value. Going down never fails, a member that is not there is ``null``; taking a value out
/// throws.
indirect enum JSON: Decodable, Sendable {
  case null
  case bool(Bool)
  case integer(UInt64)
  case number(Double)
  case string(String)
  case array([JSON])
  case object([String: JSON])

  /// The value is not of the type that was asked for.
  struct TypeError: Error {
    let expected: String
    let found: JSON
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(UInt64.self) {
      self = .integer(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode([JSON].self) {
      self = .array(value)
    } else if let value = try? container.decode([String: JSON].self) {
      self = .object(value)
    } else {
      self = .null
    }
  }

  subscript(_ member: String) -> JSON {
    if case .object(let members) = self { members[member] ?? .null } else { .null }
  }

  subscript(_ index: Int) -> JSON {
    if case .array(let elements) = self, elements.indices.contains(index) { elements[index] } else { .null }
  }

  var isNull: Bool { if case .null = self { true } else { false } }

  var bool: Bool {
    get throws { if case .bool(let value) = self { value } else { throw TypeError(expected: "bool", found: self) } }
  }

  var uint64: UInt64 {
    get throws {
      if case .integer(let value) = self { value } else { throw TypeError(expected: "integer", found: self) }
    }
  }

  var int: Int {
    get throws { Int(try uint64) }
  }

  var string: String {
    get throws {
      if case .string(let value) = self { value } else { throw TypeError(expected: "string", found: self) }
    }
  }

  /// The bytes of a string of hexadecimal digits.
  var bytes: [UInt8] {
    get throws { try [UInt8](hex: string) }
  }

  var array: [JSON] {
    get throws { if case .array(let value) = self { value } else { throw TypeError(expected: "array", found: self) } }
  }

  var object: [String: JSON] {
    get throws {
      if case .object(let value) = self { value } else { throw TypeError(expected: "object", found: self) }
    }
  }
}

extension JSON: CustomTestStringConvertible {
  /// Short enough for a list of tests: long strings are cut.
  var testDescription: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .string(let value): value.count > 24 ? "\(value.prefix(24))…" : value
    case .array(let value): "[\(value.count)]"
    case .object(let value):
      value.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.testDescription)" }.joined(separator: ", ")
    }
  }
}

/// A text is not made of pairs of hexadecimal digits.
struct HexError: Error {
  let text: String
}

extension Array<UInt8> {
  /// The bytes of a text of hexadecimal digits.
  init(hex text: String) throws {
    let digits = text.compactMap(\.hexDigitValue)
    guard digits.count == text.count, digits.count.isMultiple(of: 2) else { throw HexError(text: text) }
    self = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }

  /// The bytes as a secret.
  var secret: Secret { Secret(copying: rawBytes) }

  /// The bytes in hexadecimal digits.
  var hex: String { rawBytes.hexadecimal }
}

extension Secret {
  /// The bytes in hexadecimal digits, to compare with recorded values.
  var hex: String { bytes.hexadecimal }
}

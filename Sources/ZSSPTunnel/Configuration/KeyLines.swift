// SPDX-License-Identifier: Apache-2.0

/// The line numbers of a TOML file's keys. The parser has line numbers for syntax errors only.
struct KeyLines {
  private var lines: [String: Int] = [:]

  /// Finds headers of tables, and the text before equals signs. Several tables of one name are
  /// numbered from 0.
  init(_ text: String) {
    var table = ""
    var counts = [String: Int]()
    for (index, line) in Self.lines(text).enumerated() {
      let content = line.drop { $0 == " " || $0 == "\t" }
      if content.hasPrefix("[[") {
        let name = Self.name(content.dropFirst(2).prefix { $0 != "]" })
        let number = counts[name, default: 0]
        counts[name] = number + 1
        table = "\(name)[\(number)]."
        note(name, line: index + 1)
        note("\(name)[\(number)]", line: index + 1)
      } else if content.hasPrefix("["), let end = content.firstIndex(of: "]"), !content[..<end].contains("\"") {
        let name = Self.name(content[..<end].dropFirst())
        table = name + "."
        note(name, line: index + 1)
      } else if let equals = content.firstIndex(of: "=") {
        let name = Self.name(content[..<equals])
        if !name.isEmpty, name.allSatisfy({ $0.isLetter || $0.isNumber || "-_.".contains($0) }) {
          note(table + name, line: index + 1)
        }
      }
    }
  }

  private static func lines(_ text: String) -> [Substring] {
    // In Swift "\r\n" is one character, which is not equal to "\n".
    text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
  }

  /// Returns the numbers of the lines with a NUL character, literal or as an escape.
  static func nuls(in text: String) -> [Int] {
    lines(text).enumerated().compactMap { index, line in
      let bytes = Array(line.utf8)
      let hasEscape = bytes.indices.contains { index in
        guard bytes[index...].starts(with: "u0000".utf8) || bytes[index...].starts(with: "U00000000".utf8) else {
          return false
        }
        // The first of two backslashes escapes the second.
        return !bytes[..<index].reversed().prefix { $0 == UInt8(ascii: "\\") }.count.isMultiple(of: 2)
      }
      return bytes.contains(0) || hasEscape ? index + 1 : nil
    }
  }

  /// The line of a key with its tables in front, as in `peer[1].endpoint`; nil if unknown.
  subscript(path: String) -> Int? { lines[path] }

  private mutating func note(_ path: String, line: Int) {
    if lines[path] == nil { lines[path] = line }
  }

  private static func name(_ text: Substring) -> String {
    String(text.filter { !" \t\"'".contains($0) })
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Standard output and standard error. Text for people goes to standard error, so that standard
/// output has only the requested data.
enum Terminal {
  /// Writes a line for people.
  static func note(_ line: String) { write(line, to: STDERR_FILENO) }

  /// Writes an error message.
  static func error(_ message: String, prefix: String = "zssp: ") { write(prefix + message, to: STDERR_FILENO) }

  /// Writes a line of data. Ends the process with exit code 1 if the reader of standard output has
  /// closed it.
  static func output(_ line: String) {
    if write(line, to: STDOUT_FILENO) == EPIPE { exit(1) }
  }

  /// Writes data as one line of JSON.
  ///
  /// - Throws: `EncodingError`.
  static func output(json value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    output(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  /// Writes a line. Returns the system's error number; 0 for success.
  ///
  /// Callers ignore errors of standard error, which may be closed.
  @discardableResult
  private static func write(_ line: String, to descriptor: CInt) -> CInt {
    var rest = Array((line + "\n").utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return errno }
      rest = rest.dropFirst(count)
    }
    return 0
  }

  /// Returns a peer's text for display. Control characters, which could drive the terminal, and
  /// characters that change the direction of writing are shown as numbers.
  static func printable(_ bytes: some Sequence<UInt8>) -> String {
    var text = ""
    for scalar in String(decoding: Array(bytes), as: UTF8.self).unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
        text += "\\u{\(String(scalar.value, radix: 16))}"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  /// Ends the process.
  static func exit(_ code: Int32) -> Never { Foundation.exit(code) }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// Standard output and standard error. Text for people goes to standard error, so that standard
/// output has only the requested data.
enum Terminal {
  /// The log of the running command, which gets the lines for people; nil for none.
  private static let log = Mutex<CommandLog?>(nil)

  /// True if standard error is the journal of systemd (systemd.exec(5), JOURNAL_STREAM).
  static let isJournal: Bool = {
    guard let stream = ProcessInfo.processInfo.environment["JOURNAL_STREAM"] else { return false }
    var status = stat()
    return fstat(STDERR_FILENO, &status) == 0 && stream == "\(status.st_dev):\(status.st_ino)"
  }()

  /// Passes lines for people to a log from now on.
  static func use(_ log: CommandLog) { self.log.withLock { $0 = log } }

  /// Writes a line for people.
  static func note(_ line: String) {
    guard let log = log.withLock({ $0 }) else { return self.line(line) }
    log.write(.info, line)
  }

  /// Writes a warning for people.
  static func warning(_ message: String) {
    guard let log = log.withLock({ $0 }) else { return line((isJournal ? "<4>" : "") + "WARNING: \(message)") }
    log.write(.warning, message)
  }

  /// Writes an error message. Each of its lines is one of the log, if that is JSON or the journal.
  static func error(_ message: String, prefix: String = "zssp: ") {
    let lines = message.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if let log = log.withLock({ $0 }), log.isJournal || log.format == .json {
      for line in lines { log.write(.error, line) }
    } else if isJournal {
      for line in lines { self.line("<3>\(line)") }
    } else {
      line(prefix + message)
    }
  }

  /// Writes a line to standard error.
  static func line(_ line: String) { write(line, to: STDERR_FILENO) }

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

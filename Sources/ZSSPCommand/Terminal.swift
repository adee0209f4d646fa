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
    guard let log = log.withLock({ $0 }) else { return self.line(printableLines(line).joined(separator: "\n")) }
    log.write(.info, line)
  }

  /// Writes a warning for people.
  static func warning(_ message: String) {
    guard let log = log.withLock({ $0 }) else {
      return line((isJournal ? "<4>" : "") + "WARNING: \(printableLines(message).joined(separator: "\n"))")
    }
    log.write(.warning, message)
  }

  /// Writes an error message. Each of its lines is one of the log, if that is JSON or the journal.
  ///
  /// Whatever comes from outside, such as an argument or the content of a file, cannot drive a
  /// terminal, and looks like no other message: lines behind the first one are indented.
  ///
  /// - Parameters:
  ///   - message: The message, which may have several lines.
  ///   - prefix: The beginning of its first line. If it is empty, lines are not indented.
  static func error(_ message: String, prefix: String = "zssp: ") {
    var lines = printableLines(withoutLineFeeds(of: argumentsOfSeveralLines, in: message))
    if !prefix.isEmpty {
      for index in lines.indices.dropFirst() where !lines[index].hasPrefix(" ") { lines[index] = "  " + lines[index] }
    }
    if let log = log.withLock({ $0 }), log.isJournal || log.format == .json {
      for line in lines { log.write(.error, line) }
    } else if isJournal {
      for line in lines { self.line("<3>\(line)") }
    } else {
      line(prefix + lines.joined(separator: "\n"))
    }
  }

  /// Writes a line to standard error, as it is.
  static func line(_ line: String) { write(line, to: STDERR_FILENO) }

  /// Writes text for people to standard output, without characters that drive a terminal. Ends the
  /// process as ``data(_:)`` does.
  static func output(_ text: String) { data(printableLines(text).joined(separator: "\n")) }

  /// Writes a line of data to standard output, as it is. If that fails, ends the process with exit
  /// code 1, and a message unless the reader has closed the pipe, as `head` does.
  static func data(_ line: String) {
    let failure = write(line, to: STDOUT_FILENO)
    guard failure != 0 else { return }
    if failure != EPIPE { error("standard output: cannot be written: \(String(cString: strerror(failure)))") }
    exit(1)
  }

  /// Writes data as one line of JSON. Characters that drive a terminal are escaped.
  ///
  /// - Throws: `EncodingError`.
  static func output(json value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Outside of texts JSON has no such characters.
    let text = String(decoding: try encoder.encode(value), as: UTF8.self)
    data(escaped(text, as: { scalar in String(scalar).utf16.map { String(format: "\\u%04x", Int($0)) }.joined() }))
  }

  /// Writes a line. Returns the system's error number; 0 for success.
  ///
  /// Callers ignore errors of standard error, which may be closed.
  @discardableResult
  private static func write(_ line: String, to descriptor: CInt) -> CInt {
    var rest = Array((line + "\n").utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, waitAfterFailure(of: descriptor) { continue }
      guard count >= 0 else { return errno }
      rest = rest.dropFirst(count)
    }
    return 0
  }

  /// Looks at the error of a write. If it is no failure, waits until the descriptor takes bytes.
  ///
  /// - Returns: true if the write can be tried again.
  static func waitAfterFailure(of descriptor: CInt) -> Bool {
    switch errno {
    case EINTR: return true
    // Another process has made the pipe or the terminal that it shares non-blocking.
    case EAGAIN:
      var place = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      _ = poll(&place, 1, -1)
      return true
    default: return false
    }
  }

  // MARK: Characters

  /// The arguments of the process, and the values in them, that have line feeds.
  private static let argumentsOfSeveralLines: [String] = {
    var found: [String] = []
    for argument in CommandLine.arguments.dropFirst() {
      found.append(argument)
      if let start = argument.firstIndex(of: "=") { found.append(String(argument[start...].dropFirst())) }
    }
    return found.filter { $0.unicodeScalars.contains("\n") && $0.unicodeScalars.count > 1 }
  }()

  /// Returns a message in which the line feeds of some texts are shown as numbers.
  static func withoutLineFeeds(of texts: [String], in message: String) -> String {
    texts.reduce(message) { message, text in message.replacing(text, with: printable(text.utf8)) }
  }

  /// Returns the lines of a text for display. Tabs stay: they do no harm.
  static func printableLines(_ text: String) -> [String] {
    text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      escaped(String(line)) { $0 == "\t" ? "\t" : number($0) }
    }
  }

  /// Returns a peer's text for display. Control characters, which could drive the terminal, and
  /// characters that change the direction of writing are shown as numbers.
  static func printable(_ bytes: some Sequence<UInt8>) -> String {
    escaped(String(decoding: Array(bytes), as: UTF8.self), as: number)
  }

  private static func number(_ scalar: Unicode.Scalar) -> String { "\\u{\(String(scalar.value, radix: 16))}" }

  /// Returns a text in which `escape` has replaced characters that drive a terminal or change the
  /// direction of writing.
  private static func escaped(_ text: String, as escape: (Unicode.Scalar) -> String) -> String {
    // Nearly all texts have none.
    guard !text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
        result += escape(scalar)
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// Ends the process.
  static func exit(_ code: Int32) -> Never { Foundation.exit(code) }
}

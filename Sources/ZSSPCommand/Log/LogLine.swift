// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging

/// A line of the log.
///
/// Whatever comes from outside, such as a peer's identity, cannot begin another line or drive a
/// terminal: control characters, and those that change the direction of writing, are escaped.
struct LogLine {
  let level: Logger.Level
  let message: String
  /// The fields in the order of their names, without the prefix `zssp.`.
  let fields: [(name: String, value: String)]

  /// Makes a line.
  init(level: Logger.Level, message: String, fields: some Sequence<(key: String, value: String)>) {
    self.level = level
    self.message = Terminal.printable(message.utf8)
    self.fields = fields.map { field in
      let name = field.key.hasPrefix("zssp.") ? String(field.key.dropFirst("zssp.".count)) : field.key
      return (Terminal.printable(name.utf8), Terminal.printable(field.value.utf8))
    }.sorted { $0.name < $1.name }
  }

  /// The line for people: the time, if given, the level unless it is usual, the message, the
  /// fields.
  func text(at time: Date?) -> String {
    var text = time.map { "\(Self.text($0)) " } ?? ""
    switch level {
    case .critical, .error: text += "ERROR: "
    case .warning: text += "WARNING: "
    case .trace, .debug: text += "debug: "
    case .notice, .info: break
    }
    text += message
    for (name, value) in fields { text += " \(name)=\(Self.quoted(value))" }
    return text
  }

  /// The line as a JSON object.
  func json(at time: Date) -> String {
    var object = ["time": Self.text(time), "level": level.rawValue, "message": message]
    for (name, value) in fields { object[object[name] == nil ? name : "field.\(name)"] = value }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Texts can always be encoded.
    guard let data = try? encoder.encode(object) else { return "{}" }
    return String(decoding: data, as: UTF8.self)
  }

  /// The priority of the line for journald (sd-daemon(3)).
  var journalPrefix: String {
    switch level {
    case .critical: "<2>"
    case .error: "<3>"
    case .warning: "<4>"
    case .notice: "<5>"
    case .info: "<6>"
    case .debug, .trace: "<7>"
    }
  }

  private static func text(_ time: Date) -> String {
    time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
  }

  /// Quotes a value with spaces or quotation marks, so that it is seen where it ends.
  private static func quoted(_ value: String) -> String {
    guard value.isEmpty || value.contains(where: { " \"=\\".contains($0) }) else { return value }
    return "\"\(value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
  }
}

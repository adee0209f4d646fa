// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import Synchronization

/// The log of a command: lines on standard error. Its level and format can be changed at any time.
final class CommandLog: Sendable {
  private struct State {
    var level: LogLevel
    var format: LogFormat
    var afterLine: (@Sendable () -> Void)?
  }

  private let state: Mutex<State>
  /// True if standard error is the journal of systemd, which has its own times, and reads
  /// priorities.
  let isJournal: Bool

  /// Makes a log. Its lines of text begin with the time, unless they go to the journal.
  ///
  /// - Parameters:
  ///   - level: The least important level of lines.
  ///   - format: The format of lines.
  init(level: LogLevel, format: LogFormat) {
    isJournal = Terminal.isJournal
    state = Mutex(State(level: level, format: format))
  }

  /// The least important level of lines.
  var level: LogLevel { state.withLock(\.level) }
  /// The format of lines.
  var format: LogFormat { state.withLock(\.format) }

  /// Changes the level and the format from the next line on.
  func change(level: LogLevel, format: LogFormat) {
    state.withLock { state in
      state.level = level
      state.format = format
    }
  }

  /// Calls `afterLine` after each line from now on.
  func becomesFile(afterLine: @escaping @Sendable () -> Void) {
    state.withLock { $0.afterLine = afterLine }
  }

  /// Writes a line, if it is important enough.
  func write(_ line: LogLine) {
    let current = state.withLock { $0 }
    guard line.level >= current.level.level else { return }
    let now = Date()
    let text =
      switch current.format {
      case .json: line.json(at: now)
      case .text: line.text(at: isJournal ? nil : now)
      }
    Terminal.line(isJournal ? line.journalPrefix + text : text)
    current.afterLine?()
  }

  /// Writes a line without fields.
  func write(_ level: Logger.Level, _ message: String) {
    write(LogLine(level: level, message: message, fields: [(key: String, value: String)]()))
  }

  /// A logger that writes here.
  var logger: Logger { Logger(label: "zssp") { _ in Handler(self) } }

  /// Passes lines of swift-log on.
  private struct Handler: LogHandler {
    private let sink: CommandLog
    var metadata: Logger.Metadata = [:]
    /// The level of a copy of the logger, if one was set; otherwise that of the log.
    private var own: Logger.Level?

    init(_ sink: CommandLog) { self.sink = sink }

    var logLevel: Logger.Level {
      get { own ?? sink.level.level }
      set { own = newValue }
    }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      var fields = metadata
      if let more = event.metadata { fields.merge(more) { $1 } }
      if let error = event.error { fields["zssp.error"] = "\(error)" }
      sink.write(
        LogLine(
          level: event.level, message: "\(event.message)",
          fields: fields.map { (key: $0.key, value: "\($0.value)") }))
    }
  }
}

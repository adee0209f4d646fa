// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Logging

/// The options of logs.
struct LogOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Log what is at least this important: debug, info, notice, warning or error. Default: info, or as in a tunnel's file.",
      valueName: "level"))
  var logLevel: LogLevel?

  @Option(
    help: ArgumentHelp(
      "Write the log in this format: text or json. Default: text, or as in a tunnel's file.", valueName: "format"))
  var logFormat: LogFormat?

  /// The arguments that give these options.
  var arguments: [String] {
    (logLevel.map { ["--log-level", $0.rawValue] } ?? []) + (logFormat.map { ["--log-format", $0.rawValue] } ?? [])
  }

  /// The log that the options ask for; nil without options. Lines for people become lines of the
  /// log.
  var log: CommandLog? {
    guard logLevel != nil || logFormat != nil else { return nil }
    return CommandLog(level: logLevel ?? .info, format: logFormat ?? .text)
  }
}

/// The importance of a log line.
enum LogLevel: String, CaseIterable, ExpressibleByArgument, Sendable {
  case debug, info, notice, warning, error

  /// The level of swift-log.
  var level: Logger.Level {
    switch self {
    case .debug: .debug
    case .info: .info
    case .notice: .notice
    case .warning: .warning
    case .error: .error
    }
  }
}

/// The format of a log.
enum LogFormat: String, CaseIterable, ExpressibleByArgument, Sendable {
  /// A sentence, and fields as `key=value`.
  case text
  /// A JSON object with the fields as texts.
  case json
}

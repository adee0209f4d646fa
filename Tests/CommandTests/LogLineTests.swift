// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import Testing
import ZSSPTestSupport

@testable import ZSSPCommand

/// Lines of the log.
@Suite(.tags(.fast))
struct LogLineTests {
  private func line(
    _ level: Logger.Level = .info, _ message: String = "m", _ fields: [String: String] = [:]
  ) -> LogLine {
    LogLine(level: level, message: message, fields: fields.map { (key: $0.key, value: $0.value) })
  }

  @Test(arguments: [
    (Logger.Level.critical, "<2>", "ERROR: m"), (.error, "<3>", "ERROR: m"), (.warning, "<4>", "WARNING: m"),
    (.notice, "<5>", "m"), (.info, "<6>", "m"), (.debug, "<7>", "debug: m"), (.trace, "<7>", "debug: m"),
  ])
  func levels(level: Logger.Level, prefix: String, text: String) {
    #expect(line(level).journalPrefix == prefix)
    #expect(line(level).text(at: nil) == text)
  }

  @Test func fieldsAreSortedAndQuoted() {
    let fields = ["zssp.peer": "k", "b": "two words", "a": "", "c": "x=\"y\"", "d": "\\"]
    #expect(line(.info, "m", fields).text(at: nil) == #"m a="" b="two words" c="x=\"y\"" d="\\" peer=k"#)
  }

  @Test func theTimeIsUTC() {
    #expect(line().text(at: Date(timeIntervalSince1970: 1.5)) == "1970-01-01T00:00:01.500Z m")
  }

  /// Nothing from outside begins another line, moves the cursor, or turns the direction of writing.
  @Test(arguments: ["a\nb", "a\r\nb", "\u{1b}[2J", "\u{202e}x", "\u{7}", "\u{0}", "\u{2028}", "\u{9b}1m"])
  func controlCharactersAreEscaped(text: String) throws {
    let line = line(.info, text, ["zssp.identity": text, text: text])
    let json = line.json(at: Date())
    for written in [line.text(at: nil), json] {
      let isClean = written.unicodeScalars.allSatisfy { scalar in
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: false
        default: true
        }
      }
      #expect(isClean, "\(written.debugDescription)")
    }
    let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: String]
    #expect(object?["identity"] == Terminal.printable(text.utf8))
  }

  @Test func aFieldReplacesNothing() throws {
    let json = line(.warning, "m", ["zssp.level": "x", "message": "y", "time": "z"]).json(at: Date())
    let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: String])
    #expect(object["level"] == "warning" && object["message"] == "m" && object["field.level"] == "x")
    #expect(object["field.message"] == "y" && object["field.time"] == "z")
  }

  #if Tunnel && os(Linux)
    /// Options of the command line count more than the file, also when it is read again.
    @Test func levelsChange() throws {
      var program = TunnelFile.Program()
      let free = TunnelCommandLog(program, try LogOptions.parse([]))
      let fixed = TunnelCommandLog(program, try LogOptions.parse(["--log-level", "error"]))
      #expect(free.log.level == .info && free.log.format == .text && fixed.log.level == .error)
      #expect(!free.apply(program))
      program.logLevel = .debug
      #expect(free.apply(program) && free.log.level == .debug && free.log.logger.logLevel == .debug)
      #expect(!fixed.apply(program) && fixed.log.level == .error)
      program.logFormat = .json
      #expect(free.apply(program) && free.log.format == .json)
      #expect(fixed.apply(program) && fixed.log.format == .json && fixed.log.level == .error)
    }
  #endif
}

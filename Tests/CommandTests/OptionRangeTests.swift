// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Testing
import ZSSPTestSupport

@testable import ZSSPCommand

/// Numbers in options: what is beyond the range is refused with the range, and nothing traps.
@Suite("numbers in options", .tags(.fast))
struct OptionRangeTests {
  /// An option with numbers, the range in its error, and values at its ends.
  struct Row: CustomTestStringConvertible, Sendable {
    let command: any ParsableCommand.Type
    let arguments: [String]
    let option: String
    let range: String
    let accepted: [String]
    var more: [String] = []

    var testDescription: String { "\(command) \(option)" }
  }

  private static let connect = ["--to", "127.0.0.1:1", "--peer", "k"]
  private static let ping = ["127.0.0.1:1", "--peer", "k"]

  private static var rows: [Row] {
    [
      Row(command: Ping.self, arguments: ping, option: "--timeout", range: "0.1 to 1000000 seconds", accepted: ["0.1"]),
      Row(
        command: Ping.self, arguments: ping, option: "--interval", range: "0.1 to 1000000 seconds", accepted: ["1e6"]),
      Row(
        command: Connect.self, arguments: connect, option: "--timeout", range: "more than 0, and at most 1000000000",
        accepted: ["1e9", "1e-9"]),
      Row(
        command: Connect.self, arguments: connect, option: "--for",
        range: "more than 0, and at most 1000000000 seconds",
        accepted: ["0.001"]),
      Row(
        command: Listen.self, arguments: ["--bind", "127.0.0.1:0"], option: "--rekey-after",
        range: "0.001 to 1000000000",
        accepted: ["90s", "0.5", "277777h"], more: ["1e9h", "5x", "s"]),
      Row(
        command: Listen.self, arguments: ["--bind", "127.0.0.1:0"], option: "--rekey-timeout",
        range: "0.001 to 1000000000", accepted: ["1h"], more: ["0.0001s"]),
      Row(command: Simulate.self, arguments: [], option: "--hours", range: "at most 100000 hours", accepted: ["0.1"]),
      Row(command: Simulate.self, arguments: [], option: "--turbulence", range: "at most 1000000", accepted: ["1"]),
      Row(command: Simulate.self, arguments: [], option: "--calm", range: "5 to 1000000 minutes", accepted: ["5"]),
      Row(
        command: Simulate.self, arguments: [], option: "--loss", range: "0 to 1", accepted: ["0", "1"], more: ["1.1"]),
      Row(command: Simulate.self, arguments: [], option: "--attack", range: "0 to 100000", accepted: ["0.5"]),
    ]
  }

  @Test(arguments: rows) func realNumbers(_ row: Row) throws {
    for value in ["inf", "-inf", "nan", "1e300", "-1", "-0.5", "-1e300"] + row.more {
      let error = #expect(throws: (any Error).self, "\(value)") {
        try row.command.parse(row.arguments + [row.option, value])
      }
      let message = error.map { row.command.fullMessage(for: $0) } ?? ""
      #expect(message.contains(row.option), "\(value): \(message)")
      // A duration that is none has no range.
      #expect(message.contains(row.range) || message.contains("is not a duration like"), "\(value): \(message)")
    }
    for value in row.accepted { _ = try row.command.parse(row.arguments + [row.option, value]) }
  }

  @Test(arguments: [
    ("--interval", "-1", "0 to 1000000000 milliseconds"), ("--interval", "9223372036854775807", "0 to 1000000000"),
    ("--send", "-1", "0 to 9223372036854775807"), ("--mtu", "-1", "128 to 65507 bytes"), ("--size", "-1", "'-1'"),
  ])
  func wholeNumbers(option: String, value: String, range: String) throws {
    let error = #expect(throws: (any Error).self) { try Connect.parse(Self.connect + [option, value]) }
    let message = error.map { Connect.fullMessage(for: $0) } ?? ""
    #expect(message.contains("\(option) \(value)") && message.contains(range), "\(message)")
  }

  /// The last seed is none that would be beyond the largest number.
  @Test func seeds() throws {
    for words in [["--seed", "18446744073709551615"], ["--seed", "18446744073709551614", "--seeds", "2"]] {
      #expect(throws: (any Error).self) { try Simulate.parse(words) }
    }
    _ = try Simulate.parse(["--seed", "18446744073709551614"])
    #expect(throws: (any Error).self) { try Simulate.parse(["--seeds", "0"]) }
  }
}

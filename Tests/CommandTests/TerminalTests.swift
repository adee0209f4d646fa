// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

@testable import ZSSPCommand

/// Printed text cannot drive the terminal, whatever arguments and files contain.
@Suite("the terminal", .tags(.fast))
struct TerminalTests {
  @Test(arguments: [
    ("a\u{1b}[2Jb", ["a\\u{1b}[2Jb"]), ("a\nb", ["a", "b"]), ("a\r\nb", ["a\\u{d}", "b"]), ("", [""]),
    ("\n", ["", ""]),
    ("\u{9b}1m\u{202e}\u{7}\u{7f}", ["\\u{9b}1m\\u{202e}\\u{7}\\u{7f}"]), ("größer\t✓", ["größer\t✓"]),
  ])
  func lines(text: String, expected: [String]) {
    #expect(Terminal.printableLines(text) == expected)
  }

  @Test func lineFeedsOfArguments() {
    let message = "--bind a\nzssp: fine: no\n  'zssp ping' says more"
    let shown = Terminal.withoutLineFeeds(of: ["a\nzssp: fine"], in: message)
    #expect(shown == "--bind a\\u{a}zssp: fine: no\n  'zssp ping' says more")
  }
}

/// Messages of the tool, as a user sees them.
@Suite("the tool's messages", .tags(.slow), .ownThreads, .timeLimit(.minutes(10)))
struct MessageTests {
  private static let evil = "x\u{1b}[2J\u{9b}31m\u{202e}\nzssp: all is fine\ry"

  /// Arguments that are wrong in each command.
  @Test(arguments: [
    ["decode", evil], ["decode", "/dev/null", "--keys", evil], ["keygen", "/nonexistent/\(evil)"], ["pubkey", evil],
    ["otp", "/nonexistent/\(evil)"], ["ping", evil, "--peer", validKey], ["ping", "\(evil):1", "--peer", validKey],
    ["ping", "127.0.0.1:1", "--peer", evil], ["ping", "127.0.0.1:1", "--peer", validKey, "--bind", evil],
    ["connect", "--to", evil, "--peer", validKey],
    ["connect", "--to", "127.0.0.1:1", "--peer", validKey, "--key", evil],
    ["listen", "--bind=\(evil)"], ["listen", "--bind", "127.0.0.1:0", "--metrics", evil],
    ["listen", "--bind", "127.0.0.1:0", "--trace", "/nonexistent/\(evil)"],
    ["listen", "--bind", "127.0.0.1:0", "--store", "file:/nonexistent/\(evil)"],
    ["listen", "--bind", "127.0.0.1:0", "--profile", evil], ["store", "show", "file:\(evil)"],
    ["simulate", "--mode", evil],
    ["bench", evil], ["bench", "--initiators", evil], ["version", evil], [evil], ["--\(evil)"],
    ["tunnel", "check", evil], ["tunnel", "show", evil], ["tunnel", "up", evil], ["tunnel", "import", evil],
  ])
  func argumentsWithControlCharacters(arguments: [String]) throws {
    let result = try Tool().start(arguments).finish()
    #expect(result.exitCode == 2, "\(result)")
    expectClean(result.errors)
    expectClean(result.output)
    #expect(!result.errors.split(separator: "\n").contains("zssp: all is fine"), "\(result.errors)")
    #expect(!result.errors.contains("\nzssp: all is fine"), "\(result.errors)")
  }

  /// The content of files that are wrong.
  @Test func filesWithControlCharacters() throws {
    let tool = try Tool()
    let keys = tool.path("keys")
    try Data("\u{1b}]0;evil\u{7} HELLO\n".utf8).write(to: URL(filePath: keys))
    try DecodeCommandTests.capture([]).write(to: URL(filePath: tool.path("capture")))
    let result = try tool.run("decode", tool.path("capture"), "--keys", keys)
    #expect(result.exitCode == 2 && result.errors.contains("\\u{1b}]0;evil\\u{7}"), "\(result)")
    expectClean(result.errors)
  }

  /// JSON stays JSON.
  @Test func jsonOnATerminal() throws {
    let tool = try Tool()
    let listener = try Listener(tool)
    let identity = "a\u{9b}31m\u{202e}\u{1F469}\u{200D}\u{1F4BB}"
    let client = try tool.start([
      "connect", "--to", listener.address, "--peer", listener.key, "--send", "1", "--once", "--identity", identity,
    ])
    var line: String?
    repeat { line = listener.run.nextLine() } while line.map { !$0.contains("identity") } ?? false
    let text = try #require(line)
    expectClean(text)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(object["identity"] as? String == identity)
    _ = client.finish()
  }

  private func expectClean(_ text: String) {
    let isClean = text.unicodeScalars.allSatisfy { scalar in
      switch scalar.properties.generalCategory {
      case .control: scalar == "\n"
      case .format, .lineSeparator, .paragraphSeparator: false
      default: true
      }
    }
    #expect(isClean, "\(text.debugDescription)")
  }
}

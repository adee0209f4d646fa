// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

/// The log of commands.
@Suite(.tags(.slow), .serialized, .ownThreads, .timeLimit(.minutes(20)))
struct LogCommandTests {
  /// A session, with what the listener's standard error had.
  private func errors(_ arguments: String..., identity: String = "") throws -> String {
    let peers = try Peers()
    let run = try peers.tool.start(
      ["listen", "--bind", "127.0.0.1:0", "--json", "--key", peers.tool.path("bob.pem"), "--echo"] + arguments)
    let listening = try #require(try run.nextEvent { $0["event"] as? String == "listening" })
    let port = try #require(listening["port"] as? Int)
    let client = try peers.tool.start([
      "connect", "--to", "127.0.0.1:\(port)", "--peer", peers.bob, "--key", peers.tool.path("alice.pem"), "--send", "1",
      "--once", "--identity", identity, "--json",
    ])
    _ = try client.nextEvent { $0["event"] as? String == "data" }
    _ = client.finish()
    _ = try run.nextEvent { $0["state"] as? String == "closed" }
    run.interrupt()
    return run.finish().errors
  }

  private func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

  @Test func everyLineIsJSON() throws {
    let text = try errors("--log-format", "json", "--log-level", "debug", identity: "a\n{\"level\":\"error\"}\u{1b}[2J")
    let objects = try lines(text).map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String], "\(line)")
    }
    #expect(objects.allSatisfy { $0["time"]?.hasSuffix("Z") == true && $0["level"] != nil && $0["message"] != nil })
    let established = try #require(objects.first { $0["message"] == "session established" })
    #expect(established["peer"]?.count == 68 && established["role"] == "responder" && established["level"] == "info")
    #expect(!objects.contains { $0["level"] == "error" }, "\(text)")
    // What a peer says of itself is not in the log.
    #expect(!text.contains("[2J"), "\(text)")
  }

  @Test func textHasTimesAndFields() throws {
    let text = lines(try errors("--log-level", "info"))
    let established = try #require(text.first { $0.contains("session established") })
    #expect(established.contains(" peer=") && established.contains(" address=127.0.0.1:"))
    #expect(text.allSatisfy { $0.dropFirst(10).first == "T" && $0.contains("Z ") }, "\(text)")
    #expect(!text.contains { $0.contains("debug: ") })
  }

  @Test func theLevelLeavesLinesOut() throws {
    #expect(try errors("--log-level", "warning").isEmpty)
    // Without options the lines for people are as before.
    #expect(lines(try errors()).contains("no --peer given: accepting ANYONE"))
  }

  @Test(arguments: [["--log-level", "loud"], ["--log-format", "xml"], ["--log-level", ""]])
  func whatIsNone(arguments: [String]) throws {
    let result = try Tool().start(["listen", "--bind", "127.0.0.1:0"] + arguments).finish()
    #expect(result.exitCode == 2 && result.errors.contains(arguments[0]), "\(result.errors)")
  }

  /// Each line has its priority if standard error is the journal.
  @Test(arguments: [true, false]) func prioritiesForTheJournal(isJournal: Bool) throws {
    let tool = try Tool()
    let script = """
      exec 2> errors
      JOURNAL_STREAM="$(stat -L -c %d:%i errors)\(isJournal ? "" : "1")" "$0" listen --bind 127.0.0.1:0 --for 0.2 \
        --log-level info
      JOURNAL_STREAM="$(stat -L -c %d:%i errors)\(isJournal ? "" : "1")" "$0" listen --bind nonsense
      """
    #expect(try tool.shell(script, in: tool.folder.path).exitCode == 2)
    let text = lines(try String(contentsOfFile: tool.path("errors"), encoding: .utf8))
    #expect(text.contains { $0.contains("no --peer given") && $0.hasPrefix("<6>no") == isJournal }, "\(text)")
    #expect(text.contains { $0.contains("--bind nonsense") && $0.hasPrefix("<3>") == isJournal }, "\(text)")
    #expect(text.allSatisfy { $0.hasPrefix("<") == isJournal }, "\(text)")
  }

  #if os(Linux)
    @Test(
      .enabled(if: (try? Tool().run("tunnel", "--help").exitCode) == 0, "built without the trait Tunnel"),
      arguments: [
        ("log-level = \"loud\"", "log-level: \"loud\" is not one of"), ("log-format = 1", "log-format: must be"),
      ])
    func theFilesKeysHaveLines(line: String, expected: String) throws {
      let tool = try Tool()
      let file = tool.path("c.toml")
      try "private-key-file = \"k\"\n\n\(line)\n".write(toFile: file, atomically: true, encoding: .utf8)
      let result = try tool.run("tunnel", "check", file)
      #expect(result.exitCode == 2 && result.errors.contains("\(file):3: \(expected)"), "\(result.errors)")
    }
  #endif
}

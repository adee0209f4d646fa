// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

@testable import ZSSPCommand

@Suite("zssp ping", .tags(.slow), .ownThreads, .timeLimit(.minutes(20)))
struct PingCommandTests {
  /// The time that answers may take where the processor is busy.
  private static let patient = ["--timeout", "600"]

  private static func lines(_ result: Tool.Result) throws -> [[String: Any]] {
    try result.output.split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }
  }

  @Test(arguments: ["127.0.0.1", "[::1]"]) func aPeerThatAnswers(host: String) throws {
    let tool = try Tool()
    let listener = try Listener(tool, host: host)
    let result = try tool.start(
      ["ping", listener.address, "--peer", listener.key, "--count", "3", "--interval", "0.1"] + Self.patient
    ).finish()
    #expect(result.exitCode == 0, "\(result.errors)")
    // A probe waits for a second, which a busy processor may take.
    for text in ["X2 is authentic", "accepted in", "probe 3", "3 probes, "] {
      #expect(result.output.contains(text), "\(text): \(result.output)")
    }
    #expect(!result.output.contains("cause"))
  }

  /// A listener that names its peers refuses a key that was made for the run, and knows the one
  /// that it names.
  @Test func keys() throws {
    let peers = try Peers()
    let listener = try peers.listen()
    let address = listener.address
    func ping(_ options: String...) throws -> Tool.Result {
      try peers.tool.start(["ping", address, "--peer", peers.bob] + options + Self.patient).finish()
    }
    let stranger = try ping("--json")
    #expect(stranger.exitCode == 0 && stranger.output.contains("\"outcome\":\"refused\""), "\(stranger.output)")
    let key = peers.tool.path("alice.pem")
    // A probe waits as long as the interval.
    let careful = try ping("--key", key, "--json", "--count", "1", "--interval", "600")
    #expect(careful.exitCode == 0, "\(careful.errors)")
    let lines = try Self.lines(careful)
    #expect(lines.first { $0["event"] as? String == "session" }?["outcome"] as? String == "skipped")
    #expect(lines.count { $0["event"] as? String == "probe" && $0["answered"] as? Bool == true } == 1)
    let known = try ping("--key", key, "--session", "--json")
    #expect(known.exitCode == 0 && known.output.contains("\"outcome\":\"accepted\""), "\(known.output)")
    let other = peers.tool.path("other.pem")
    #expect(try peers.tool.run("keygen", other).exitCode == 0)
    let refused = try ping("--key", other, "--session")
    #expect(refused.exitCode == 1 && refused.output.contains("refuses this side's key"), "\(refused.output)")
  }

  /// A wildcard of IPv6 reaches IPv4, as for sessions.
  @Test func aWildcardReachesBothFamilies() throws {
    let tool = try Tool()
    let listener = try Listener(tool, host: "127.0.0.1")
    let result = try tool.start(
      ["ping", listener.address, "--peer", listener.key, "--bind", "[::]:0"] + Self.patient
    ).finish()
    #expect(result.exitCode == 0 && result.output.contains("accepted in"), "\(result)")
  }

  @Test func nothingListens() throws {
    let tool = try Tool()
    let key = try tool.run("keygen", tool.path("key.pem")).output.trimmingCharacters(in: .newlines)
    let result = try tool.run("ping", "127.0.0.1:1", "--peer", key, "--timeout", "0.5")
    #expect(result.exitCode == 1 && result.output.contains("nothing listens at this address"), "\(result.output)")
    #expect(result.errors.contains("no answer from 127.0.0.1:1"))
  }

  @Test(arguments: [
    (["ping", "nowhere", "--peer", validKey], "nowhere"), (["ping", "127.0.0.1:1"], "--peer"),
    (["ping", "127.0.0.1:1", "--peer", "abc"], "abc"), (["ping", "127.0.0.1:0", "--peer", validKey], "port"),
    (["ping", "127.0.0.1:1", "--peer", validKey, "--count", "-1"], "--count"),
    (["ping", "127.0.0.1:1", "--peer", validKey, "--interval", "0"], "--interval"),
    (["ping", "127.0.0.1:1", "--peer", validKey, "--timeout", "0"], "--timeout"),
    (["ping", "127.0.0.1:1", "--peer", validKey, "--mtu", "1"], "--mtu"),
    (["ping", "no-such-name.invalid:1", "--peer", validKey], "no-such-name.invalid"),
    // Addresses that this host has not, and one of the other family.
    (["ping", "127.0.0.1:1", "--peer", validKey, "--bind", "192.0.2.1:0"], "--bind 192.0.2.1:0: no interface"),
    (["ping", "127.0.0.1:1", "--peer", validKey, "--bind", "[::1]:0"], "--bind [::1]:0: 127.0.0.1:1 is of the other"),
    (["ping", "[::1]:1", "--peer", validKey, "--bind", "127.0.0.1:0"], "--bind 127.0.0.1:0: [::1]:1 is of the other"),
    (["ping", "192.0.2.1:1", "--peer", validKey, "--bind", "127.0.0.1:0"], "--bind 127.0.0.1:0: "),
    (
      ["connect", "--to", "127.0.0.1:1", "--peer", validKey, "--bind", "192.0.2.1:0"],
      "--bind 192.0.2.1:0: no interface"
    ),
    (["connect", "--to", "127.0.0.1:1", "--peer", validKey, "--bind", "[::1]:0"], "--bind [::1]:0: 127.0.0.1:1"),
    (["listen", "--bind", "192.0.2.1:0"], "--bind 192.0.2.1:0: no interface"),
  ])
  func usageErrors(arguments: [String], mentions: String) throws {
    let result = try Tool().start(arguments).finish()
    #expect(result.exitCode == 2 && result.errors.contains(mentions), "\(result.errors)")
  }

  struct Numbers: Sendable {
    let milliseconds: [Int]
    let lost: Int
    let minimum, median, percentile99: Int?
    let loss: Double
  }

  @Test(arguments: [
    Numbers(milliseconds: [], lost: 0, minimum: nil, median: nil, percentile99: nil, loss: 0),
    Numbers(milliseconds: [], lost: 4, minimum: nil, median: nil, percentile99: nil, loss: 100),
    Numbers(milliseconds: [5], lost: 0, minimum: 5, median: 5, percentile99: 5, loss: 0),
    Numbers(milliseconds: [3, 1, 2], lost: 1, minimum: 1, median: 2, percentile99: 3, loss: 25),
    Numbers(milliseconds: Array((1...200).reversed()), lost: 0, minimum: 1, median: 100, percentile99: 198, loss: 0),
  ])
  func summaries(_ numbers: Numbers) {
    var summary = PingSummary()
    summary.answered = numbers.milliseconds.count
    summary.sent = summary.answered + numbers.lost
    summary.roundTrips = numbers.milliseconds.map { .milliseconds($0) }
    func text(_ value: Int?) -> Duration? { value.map { .milliseconds($0) } }
    #expect(summary.minimum == text(numbers.minimum) && summary.median == text(numbers.median))
    #expect(summary.percentile99 == text(numbers.percentile99) && summary.lossPercent == numbers.loss)
  }

  /// The traces of both ends, and of a simulation.
  @Test func traces() throws {
    let tool = try Tool()
    let listener = try Listener(tool, arguments: ["--trace", tool.path("listen.jsonl")])
    let connected = try tool.run(
      "connect", "--to", listener.address, "--peer", listener.key, "--send", "1", "--trace", tool.path("connect.jsonl"))
    #expect(connected.exitCode == 0, "\(connected.errors)")
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
    let simulated = try tool.run(
      "simulate", "--seed", "1", "--peers", "2", "--hours", "0.1", "--turbulence", "1", "--calm", "5", "--trace",
      tool.path("simulate.jsonl"))
    #expect(simulated.exitCode == 0, "\(simulated.errors)")
    for name in ["listen", "connect", "simulate"] {
      let text = try String(contentsOfFile: tool.path("\(name).jsonl"), encoding: .utf8)
      #expect(
        text.hasPrefix("{\"zssp-trace\":1,") && text.contains("\"kind\":\"X1\"") && text.hasSuffix("}\n"), "\(name)")
    }
    #expect(try tool.run("simulate", "--trace", "/nonexistent/trace").exitCode == 2)
    #expect(try tool.run("simulate", "--trace", tool.path("x"), "--seeds", "2").exitCode == 2)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

@Suite("zssp bench", .tags(.slow), .ownThreads)
struct BenchCommandTests {
  /// The figures themselves say nothing here; that they are there, with their bounds, does.
  @Test(.long) func everyFigureIsAnObjectOfJSON() throws {
    let result = try Tool().run(
      "bench", "--rounds", "1", "--milliseconds", "1", "--sessions", "128", "--initiators", "1,3",
      "--peers", "16", "--quick-handshakes", "--json")
    #expect(result.exitCode == 0, "\(result.errors)")
    let figures = try result.output.split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
    var benchmarks = ["crypto", "path", "handshake", "sessions", "idle", "challenge", "shards", "store", "storm"]
    #if os(Linux)
      benchmarks += ["udp", "flood"]
    #endif
    for benchmark in benchmarks {
      #expect(figures.contains { $0["benchmark"] as? String == benchmark }, "\(benchmark)")
    }
    for figure in figures {
      // In a millisecond of a starved machine a figure may be 0.
      #expect((figure["value"] as? Double ?? -1) >= 0, "\(figure)")
      if figure["bound"] != nil { #expect((figure["ratio"] as? Double ?? -1) >= 0, "\(figure)") }
    }
    #expect(figures.contains { $0["name"] as? String == "send and receive 1400 bytes" && $0["ratio"] != nil })
  }

  @Test(arguments: [
    (["bench", "speed"], "speed"), (["bench", "--rounds", "0"], "--rounds 0"),
    (["bench", "--sessions", "1"], "--sessions 1"), (["bench", "--milliseconds", "0"], "--milliseconds 0"),
    (["bench", "--initiators", "1,x"], "'x'"), (["bench", "--peers", "1"], "--peers 1"),
    (["bench", "store", "--folder", "/nonexistent"], "/nonexistent"),
  ])
  func usageErrorsNameTheThing(arguments: [String], mentions: String) throws {
    let result = try Tool().start(arguments).finish()
    #expect(result.exitCode == 2 && result.errors.contains(mentions), "\(result.errors)")
  }
}

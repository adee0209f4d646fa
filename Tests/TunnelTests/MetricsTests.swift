// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension NamespaceTests {
  /// Metrics of a running tunnel, and what a reload does to them and to the log.
  @Suite struct MetricsTests {
    private static func get(_ path: String, from socket: String) throws -> String {
      try Program(["sh", "-c", "printf 'GET \(path) HTTP/1.0\\r\\n\\r\\n' | nc -NU '\(socket)'"]).finish().output
    }

    private static func write(_ lab: Lab, extra: String) throws {
      try lab.write("a", number: 1, extra: extra, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
    }

    @Test func theyFollowTheFile() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      let socket = lab.path("m")
      let other = lab.path("n")
      let first = try await lab.tunnel(
        "a", number: 1, extra: "metrics = \"\(socket)\"", peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
      let labels = "interface=\"\(lab.device("a"))\",peer=\"b\""
      let served = try Self.get("/metrics", from: socket)
      #expect(served.contains("\nzssp_peer_state{\(labels),state=\"up\"} 1\n"), "\(served)")
      #expect(served.contains("\nzssp_tunnel_info{interface=\"\(lab.device("a"))\",listen=\"0.0.0.0:4500\","))
      #expect(!served.contains("\nzssp_peer_sent_packets_total{\(labels)} 0\n"))
      #expect(try Self.get("/healthz", from: socket).hasSuffix("ok\n"))
      let shown = try lab.run("\(Lab.zssp()) tunnel show \(lab.device("a")) --openmetrics")
      #expect(shown.hasPrefix("# HELP ") && shown.contains("\nzssp_peer_state{\(labels),state=\"up\"} 1\n"))

      // What cannot be used changes nothing, and is tried again.
      let reload = try "\(Lab.zssp()) tunnel reload \(lab.device("a"))"
      try Self.write(lab, extra: "metrics = \"\(lab.path("missing"))/m\"")
      for _ in 0..<2 {
        let refused = try lab.attempt(reload, on: "a")
        #expect(refused.exitCode == 1 && refused.output.contains("cannot serve metrics on"), "\(refused.output)")
        #expect(try Self.get("/healthz", from: socket).hasSuffix("ok\n"))
      }
      try Self.write(lab, extra: "metrics = \"\(other)\"\nlog-level = \"debug\"\nlog-format = \"json\"")
      let said = try lab.run(reload)
      #expect(said.contains("metrics") && said.contains("log"), "\(said)")
      #expect(!FileManager.default.fileExists(atPath: socket))
      #expect(try Self.get("/healthz", from: other).hasSuffix("ok\n"))
      // Lines are objects from here on.
      try await first.waits(for: "\"message\":\"reload: ")

      try Self.write(lab, extra: "")
      #expect(try lab.run(reload).contains("metrics"))
      #expect(!FileManager.default.fileExists(atPath: other))
      try Self.write(lab, extra: "metrics = \"\(socket)\"")
      try lab.run(reload)
      first.send(SIGTERM)
      #expect(first.finish().exitCode == 0)
      #expect(!FileManager.default.fileExists(atPath: socket))
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// Metrics of `listen` and `connect`.
@Suite(.tags(.slow), .serialized, .ownThreads, .timeLimit(.minutes(20)))
struct MetricsCommandTests {
  /// The text at a path of a running command's server.
  private func get(_ path: String, from address: String) throws -> String {
    let url = try #require(URL(string: "http://\(address)\(path)"))
    return String(decoding: try Data(contentsOf: url), as: UTF8.self)
  }

  @Test func listenAndConnectServeTheirSessions() throws {
    let peers = try Peers()
    let run = try peers.tool.start([
      "listen", "--bind", "127.0.0.1:0", "--json", "--key", peers.tool.path("bob.pem"), "--peer", peers.alice, "--echo",
      "--metrics", "127.0.0.1:0",
    ])
    let served = try #require(try run.nextEvent { $0["event"] as? String == "metrics" })
    let address = try #require(served["address"] as? String)
    #expect(try get("/healthz", from: address) == "ok\n")
    #expect(try get("/metrics", from: address).contains("\nzssp_sessions 0\n"))
    let listening = try #require(try run.nextEvent { $0["event"] as? String == "listening" })
    let port = try #require(listening["port"] as? Int)
    let client = try peers.tool.start([
      "connect", "--to", "127.0.0.1:\(port)", "--peer", peers.bob, "--key", peers.tool.path("alice.pem"), "--json",
      "--send", "3", "--for", "600", "--metrics", peers.tool.path("metrics"),
    ])
    var data = 0
    while data < 3, try client.nextEvent(where: { $0["event"] as? String == "data" }) != nil { data += 1 }
    let label = peers.alice.prefix(12)
    let text = try get("/metrics", from: address)
    #expect(text.contains("zssp_peer_received_packets_total{peer=\"\(label)\"} 3\n"), "\(text)")
    #expect(text.contains("zssp_peer_state{peer=\"\(label)\",state=\"up\"} 1\n"))
    let established = "zssp_handshake_duration_seconds_count{role=\"responder\",outcome=\"established\"} 1\n"
    #expect(text.contains(established), "\(text)")
    // The store was asked, and a Hello was read.
    #expect(text.contains("zssp_hellos_total{verdict=\"admitted\"} "))
    #expect(!text.contains("zssp_store_request_duration_seconds_count{operation=\"compareAndSwap\"} 0\n"))
    let mode = try FileManager.default.attributesOfItem(atPath: peers.tool.path("metrics"))[.posixPermissions]
    #expect((mode as? NSNumber)?.intValue == 0o660)
    client.interrupt()
    #expect(client.finish().exitCode == 0)
    #expect(!FileManager.default.fileExists(atPath: peers.tool.path("metrics")))
    run.interrupt()
    #expect(run.finish().exitCode == 0)
  }

  @Test(arguments: ["", ":9600", "localhost:1", "metrics.sock", "127.0.0.1:70000"])
  func addressesThatAreNone(address: String) throws {
    let tool = try Tool()
    for arguments in [
      ["listen", "--bind", "127.0.0.1:0"],
      ["connect", "--to", "127.0.0.1:1", "--peer", String(repeating: "0", count: 98)],
    ] {
      let result = try tool.start(arguments + ["--metrics", address]).finish()
      #expect(result.exitCode == 2 && result.errors.contains("--metrics \"\(address)\": "), "\(result.errors)")
    }
  }

  /// A refusal of the system has exit code 1. A socket that a killed process left is no obstacle.
  @Test func placesThatAreTaken() throws {
    let tool = try Tool()
    let path = tool.path("m")
    let first = try tool.start(["listen", "--bind", "127.0.0.1:0", "--json", "--metrics", path])
    _ = try first.nextEvent { $0["event"] as? String == "listening" }
    let second = try tool.start(["listen", "--bind", "127.0.0.1:0", "--metrics", path]).finish()
    #expect(second.exitCode == 1 && second.errors.contains("another process listens there"), "\(second.errors)")
    first.send(SIGKILL)
    _ = first.finish()
    #expect(FileManager.default.fileExists(atPath: path))
    let third = try tool.start(["listen", "--bind", "127.0.0.1:0", "--json", "--metrics", path])
    #expect(try third.nextEvent { $0["event"] as? String == "metrics" } != nil)
    third.interrupt()
    #expect(third.finish().exitCode == 0)
  }

  /// Other hosts can read the metrics only where that was asked for, and it is said.
  @Test func aWildcardCausesAWarning() throws {
    let tool = try Tool()
    let run = try tool.start(["listen", "--bind", "127.0.0.1:0", "--json", "--metrics", "0.0.0.0:0"])
    _ = try run.nextEvent { $0["event"] as? String == "listening" }
    run.interrupt()
    #expect(run.finish().errors.contains("WARNING: --metrics: 0.0.0.0:0 serves metrics to other hosts"))
  }
}

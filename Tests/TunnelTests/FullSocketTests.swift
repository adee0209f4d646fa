// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// A host that sends faster than its link, so that its socket is full most of the time.
  @Suite(.long) struct FullSocketTests {
    /// The number of new sessions of the peer behind the slow line. `ZSSP_RECONNECTS=100` takes
    /// some minutes, and needs a machine that is idle enough for traffic to continue within a
    /// second each time.
    private static let wanted = ProcessInfo.processInfo.environment["ZSSP_RECONNECTS"].flatMap(Int.init)
    private static let reconnects = wanted ?? 8

    /// Returns the number of packets that have left a host's tunnel.
    private func packets(_ host: String, in lab: Lab) throws -> Int {
      let text = try lab.run("cat /sys/class/net/\(lab.device(host))/statistics/rx_packets", on: host)
      return Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
    }

    /// The peer behind the slow line opens a new session again and again while the socket is full.
    /// Traffic goes on each time, to that peer and to another, whose session never changes.
    @Test func aPeerThatReconnectsStopsNobody() async throws {
      let lab = try Lab()
      try lab.add("h", "a", "b")
      for (index, host) in ["a", "b"].enumerated() {
        try lab.link("h", host)
        let hub = Lab.Peer("h", number: 1, at: "192.168.\(index + 1).1", extra: "keepalive = 1")
        _ = try await lab.tunnel(host, number: index + 2, peers: [hub])
      }
      let peers = [Lab.Peer("a", number: 2), Lab.Peer("b", number: 3)]
      _ = try await lab.tunnel("h", number: 1, peers: peers)
      for host in ["a", "b"] { try await lab.reaches(host, "10.99.0.1") }
      // What the line does not take stays with the queue of the device, and counts as the socket's
      // until it has gone.
      try lab.run("tc qdisc add dev v1 root tbf rate 60mbit burst 64k limit 64mb", on: "h")

      var servers: [Program] = []
      for host in ["a", "b"] {
        servers.append(try lab.start("iperf3 -s -i 1 --forceflush", on: host))
        try await lab.waits { try lab.run("ss -Hltn sport = :5201", on: host).contains("5201") }
      }
      let toB = try lab.start("iperf3 -u -b 5M -l 1200 -t 3600 -c 10.99.0.3", on: "h")
      try await servers[1].waits(for: "0.00-1.0")
      let toA = try lab.start("iperf3 -u -b 150M -l 1200 -t 3600 -c 10.99.0.2", on: "h")
      try await servers[0].waits(for: "0.00-1.0")
      try await lab.waits { try lab.drops("h", reason: "queueStands") > 0 }

      let zssp = try Lab.zssp()
      let key = try lab.key("h")
      var delays: [Duration] = []
      for round in 0..<Self.reconnects {
        // The peer's side forgets its session, and opens another. The hub's old session ends,
        // replaced, while the socket is full.
        try lab.run("\(zssp) tunnel set \(lab.device("a")) --peer \(key) --remove")
        try lab.run(
          "\(zssp) tunnel set \(lab.device("a")) --peer \(key) --allowed-ips 10.99.0.1/32,fd99::1/128"
            + " --endpoint 192.168.1.1:4500 --keepalive 1")
        let start = ContinuousClock.now
        let before = (a: try packets("a", in: lab), b: try packets("b", in: lab))
        // Whoever has something to say does not wait for the keepalive.
        let ping = try lab.start("ping -c 3 -i 0.3 -W 1 10.99.0.1", on: "a")
        try await lab.waits { try packets("a", in: lab) > before.a + 50 && packets("b", in: lab) > before.b }
        delays.append(ContinuousClock.now - start)
        try #require(toA.isRunning && toB.isRunning, "round \(round): \(toA.output) \(toB.output)")
        _ = ping.finish()
      }
      #expect(try lab.drops("h", reason: "queueStands") > 0)

      // What each of the peers got in each second.
      let seconds = servers.map { server in
        server.output.split(separator: "\n").filter { $0.contains(" sec ") }.dropFirst().dropLast()
      }
      let silent = seconds.map { $0.filter { $0.contains(" 0.00 Bytes") } }
      #expect(seconds[1].count > Self.reconnects / 2)
      if Self.wanted != nil {
        let sorted = delays.sorted()
        print(
          "\(delays.count) reconnects: seen to go on after \(sorted[sorted.count / 2]) (median), "
            + "\(sorted[sorted.count - 1]) at most; seconds without traffic: \(silent[0].count) of \(seconds[0].count) to the "
            + "peer that reconnects, \(silent[1].count) of \(seconds[1].count) to the other")
        #expect(silent[1].isEmpty, "\(silent[1])")
      }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension NamespaceTests {
  /// Two hosts and a tunnel.
  @Suite struct TwoHostTests {
    @Test func pingsAndFloods() async throws {
      let lab = try await Lab.pair()
      for address in ["10.99.0.2", "fd99::2"] {
        let output = try lab.run("ping -q -f -c 2000 -w 30 \(address)", on: "a")
        #expect(output.contains(" 0% packet loss"), "\(output)")
      }
      // Whole packets, and fragments of larger ones.
      for size in [1392, 4000] { try lab.run("ping -q -c 3 -i 0.1 -s \(size) 10.99.0.2", on: "a") }
      let peer = try #require((try lab.show("a")["peers"] as? [[String: Any]])?.first)
      #expect(peer["state"] as? String == "up")
      #expect(try lab.show("a")["protocolDrops"] as? [String: Int] == [:])
    }

    @Test func tcpAndUDP() async throws {
      let lab = try await Lab.pair()
      try await lab.serveTraffic("b")
      for arguments in ["-c 10.99.0.2 -t 2", "-c fd99::2 -t 2 -P 4", "-c 10.99.0.2 -t 2 -R"] {
        let received = try #require(try lab.traffic("a", arguments)["sum_received"] as? [String: Any])
        #expect((received["bytes"] as? NSNumber)?.intValue ?? 0 > 1_000_000, "\(arguments)")
      }
      let sum = try #require(try lab.traffic("a", "-u -b 10M -c 10.99.0.2 -t 2")["sum"] as? [String: Any])
      #expect((sum["packets"] as? NSNumber)?.intValue ?? 0 > 1000)
      #expect((sum["lost_percent"] as? NSNumber)?.doubleValue ?? 100 < 1)
    }

    /// Every byte arrives, whatever the sizes: in one datagram, in jumbo datagrams, and in several datagrams each.
    @Test(arguments: [(1280, 1500), (1420, 1500), (9000, 1500), (8900, 9000)])
    func transfers(mtu: Int, linkMTU: Int) async throws {
      let lab = try await Lab.pair(extra: "mtu = \(mtu)", linkMTU: linkMTU)
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 10 << 20).finish()
      try await lab.transfer(from: "b", to: "a", address: "fd99::1", bytes: 10 << 20, port: 9001).finish()
    }

    /// Without super-packets, as on a kernel that has none.
    @Test func withoutOffload() async throws {
      let lab = try await Lab.pair(extra: "offload = false")
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 5 << 20).finish()
    }

    @Test func aForeignSourceIsDropped() async throws {
      let lab = try await Lab.pair()
      try lab.run("ip address add 10.99.0.77/32 dev lo", on: "b")
      #expect(try lab.attempt("ping -c 3 -i 0.1 -W 1 -I 10.99.0.77 10.99.0.1", on: "b").exitCode != 0)
      #expect(try lab.drops("a", "foreignSource") == 3)
      try await lab.reaches("b", "10.99.0.1")
    }

    @Test(arguments: ["0.01", "0.05"]) func lossyLinks(probability: String) async throws {
      let lab = try await Lab.pair()
      for host in ["a", "b"] {
        try lab.run(
          "iptables -A INPUT -p udp -m statistic --mode random --probability \(probability) -j DROP", on: host)
      }
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 2 << 20).finish()
    }

    /// Keys are replaced all the time, and TCP does not notice.
    @Test func rekeysUnderLoad() async throws {
      let lab = try await Lab.pair()
      try await lab.serveTraffic("b")
      let load = try lab.start("iperf3 -J -c 10.99.0.2 -t 8", on: "a")
      for _ in 0..<7 {
        try await Task.sleep(for: .seconds(1))
        try lab.run("\(Lab.zssp()) tunnel rekey \(lab.device("a"))")
      }
      let result = load.finish()
      #expect(result.exitCode == 0, "\(result.output)")
      let peer = try #require((try lab.show("a")["peers"] as? [[String: Any]])?.first)
      #expect((peer["ratchetLength"] as? NSNumber)?.intValue ?? 0 >= 5)
    }

    /// A peer takes only packets of a size, and whoever sends larger ones learns it.
    @Test func packetsThatAreTooBig() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      _ = try await lab.tunnel(
        "a", number: 1, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2", extra: "mtu = 1300")])
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
      let output = try lab.attempt("ping -c 2 -i 0.2 -W 1 -M do -s 1372 10.99.0.2", on: "a").output
      #expect(output.contains("mtu = 1300") || output.contains("mtu=1300"), "\(output)")
      #expect(try lab.drops("a", "tooBig") > 0)
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 1 << 20).finish()
    }
  }
}

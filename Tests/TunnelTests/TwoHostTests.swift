// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// Two hosts and a tunnel.
  @Suite struct TwoHostTests {
    @Test(arguments: TestSelection.isAll ? ["", "busy-poll = 20"] : [""]) func pingsAndFloods(extra: String)
      async throws
    {
      let lab = try await Lab.pair(extra: extra)
      for address in ["10.99.0.2", "fd99::2"] {
        let output = try lab.run("ping -q -f -c 2000 -w 300 \(address)", on: "a")
        // Where an answer is late one more is sent, and not waited for.
        #expect(output.contains(" 2000 received"), "\(output)")
      }
      // Whole packets, and fragments of larger ones.
      for size in [1392, 4000] { try lab.run("ping -q -c 3 -i 0.1 -s \(size) 10.99.0.2", on: "a") }
      let peer = try #require((try lab.show("a")["peers"] as? [[String: Any]])?.first)
      #expect(peer["state"] as? String == "up")
      for reason in ["notAuthentic", "malformed", "replayed", "reassemblyTimeout"] {
        #expect(try lab.protocolDrops("a", reason: reason) == 0, "\(reason)")
      }
    }

    @Test(.long) func tcpAndUDP() async throws {
      let lab = try await Lab.pair()
      try await lab.serveTraffic("b")
      for arguments in ["-c 10.99.0.2 -t 2", "-c fd99::2 -t 2 -P 4", "-c 10.99.0.2 -t 2 -R"] {
        let received = try #require(try lab.traffic("a", arguments: arguments)["sum_received"] as? [String: Any])
        #expect((received["bytes"] as? NSNumber)?.intValue ?? 0 > 1_000_000, "\(arguments)")
      }
      // The 60 datagrams fit into every queue and buffer on their way; the smallest, that of the
      // receiving socket, has room for 92. So none is lost, however long a process waits for a core.
      let sum = try #require(try lab.traffic("a", arguments: "-u -b 1M -k 60 -c 10.99.0.2")["sum"] as? [String: Any])
      #expect((sum["packets"] as? NSNumber)?.intValue == 60)
      #expect((sum["lost_packets"] as? NSNumber)?.intValue == 0)
    }

    /// Every byte arrives, whatever the sizes: in one datagram, in jumbo datagrams, and in several
    /// datagrams each.
    @Test(.long, arguments: [(1280, 1500), (1420, 1500), (9000, 1500), (8900, 9000)])
    func transfers(mtu: Int, linkMTU: Int) async throws {
      let lab = try await Lab.pair(extra: "mtu = \(mtu)", linkMTU: linkMTU)
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 10 << 20).finish()
      try await lab.transfer(from: "b", to: "a", address: "fd99::1", bytes: 10 << 20, port: 9001).finish()
    }

    /// A tunnel works without super-packets, as on a kernel that has none.
    @Test(.long) func withoutOffload() async throws {
      let lab = try await Lab.pair(extra: "offload = false")
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 5 << 20).finish()
    }

    @Test func aForeignSourceIsDropped() async throws {
      let lab = try await Lab.pair()
      try lab.run("ip address add 10.99.0.77/32 dev lo", on: "b")
      #expect(try lab.attempt("ping -c 3 -i 0.1 -W 1 -I 10.99.0.77 10.99.0.1", on: "b").exitCode != 0)
      #expect(try lab.drops("a", reason: "foreignSource") == 3)
      try await lab.reaches("b", "10.99.0.1")
    }

    /// A packet of IPv6 from a foreign source is dropped. The table has addresses of IPv6 of its
    /// own.
    @Test(.long) func aForeignSourceOfIPv6IsDropped() async throws {
      let lab = try await Lab.pair()
      try lab.run("ip address add fd99::77/128 dev lo", on: "b")
      #expect(try lab.attempt("ping -c 3 -i 0.1 -W 1 -I fd99::77 fd99::1", on: "b").exitCode != 0)
      #expect(try lab.drops("a", reason: "foreignSource") == 3)
      try await lab.reaches("b", "fd99::1")
    }

    @Test(.long, arguments: ["0.01", "0.05"]) func lossyLinks(probability: String) async throws {
      let lab = try await Lab.pair()
      for host in ["a", "b"] {
        try lab.run(
          "iptables -A INPUT -p udp -m statistic --mode random --probability \(probability) -j DROP", on: host)
      }
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 2 << 20).finish()
    }

    /// Keys are replaced again and again, each time on both sides, and a stream of TCP goes on and
    /// arrives as it was sent.
    @Test(.long) func rekeysUnderLoad() async throws {
      let lab = try await Lab.pair()
      let stream = try await lab.stream(from: "a", to: "b", address: "10.99.0.2")
      for round in 0..<7 {
        let before = (a: try lab.ratchetLength("a"), b: try lab.ratchetLength("b"), bytes: try lab.received("b"))
        let begun = try lab.run("\(Lab.zssp()) tunnel rekey \(lab.device(round.isMultiple(of: 2) ? "a" : "b"))")
        #expect(begun.contains("1 of 1"), "\(begun)")
        try await lab.waits { try lab.ratchetLength("a") > before.a && lab.ratchetLength("b") > before.b }
        // And then the stream still moves.
        let after = try lab.received("b")
        #expect(after > before.bytes)
        try await lab.waits { try lab.received("b") > after + 1 << 20 }
      }
      // TCP fills the queue, from which it then loses one now and then; nothing is lost with the
      // keys.
      for reason in ["malformed", "unsent", "queueFull"] {
        #expect(try lab.drops("a", reason: reason) == 0, "\(reason)")
      }
      try stream.finish()
    }

    /// IPv4 packets that may be cut are, where the peer takes less than the device, and arrive;
    /// with fragments among them already.
    @Test(.long, arguments: ["", "shards = 2"]) func packetsAreFragmented(extra: String) async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      _ = try await lab.tunnel(
        "a", number: 1, extra: extra, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2", extra: "mtu = 1300")])
      _ = try await lab.tunnel("b", number: 2, extra: extra, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
      // What waits for its answer would be sent in the other size.
      for size in [1272, 1273, 1392, 4001, 20_000] {
        let output = try lab.run("ping -q -c 3 -i 0.1 -M dont -s \(size) 10.99.0.2", on: "a")
        #expect(output.contains("3 received"), "\(size): \(output)")
      }
      #expect(try lab.drops("a", reason: "tooBig") == 0)
    }

    /// A peer takes only packets of a size, and whoever sends larger ones learns it.
    @Test(.long) func packetsThatAreTooBig() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      _ = try await lab.tunnel(
        "a", number: 1, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2", extra: "mtu = 1300")])
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
      let output = try lab.attempt("ping -c 2 -i 0.2 -W 1 -M do -s 1372 10.99.0.2", on: "a").output
      #expect(output.contains("mtu = 1300") || output.contains("mtu=1300"), "\(output)")
      #expect(try lab.drops("a", reason: "tooBig") > 0)
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 1 << 20).finish()
    }
  }
}

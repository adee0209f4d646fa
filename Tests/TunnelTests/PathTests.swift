// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// The things between two hosts: firewalls, several addresses, narrow links, marks.
  @Suite(.long) struct PathTests {
    // MARK: Addresses

    /// c, behind a firewall that lets only answers in, and s, which has two addresses and listens
    /// on all. c knows the second.
    private static func guarded(_ endpoint: String, listen: String) async throws -> Lab {
      let lab = try Lab()
      try lab.add("c", "s")
      try lab.link("c", "s")
      try lab.run("ip address add 192.168.1.20/24 dev v1", on: "s")
      for (host, last) in [("c", "1"), ("s", "2"), ("s", "20")] {
        try lab.run("ip address add fd01::\(last)/64 dev v1 nodad", on: host)
      }
      for program in ["iptables", "ip6tables"] {
        try lab.run("\(program) -A INPUT -i v1 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", on: "c")
        try lab.run("\(program) -A INPUT -i v1 -p udp -j DROP", on: "c")
      }
      try lab.write("s", number: 2, peers: [Lab.Peer("c", number: 1)])
      try lab.write("c", number: 1, peers: [Lab.Peer("s", number: 2, at: endpoint, extra: "keepalive = 1")])
      for host in ["s", "c"] {
        let file = lab.path("\(host).toml")
        let text = try String(contentsOfFile: file, encoding: .utf8).replacing("0.0.0.0:4500", with: "\(listen):4500")
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        _ = try await lab.again(host)
      }
      try await lab.reaches("c", "10.99.0.2")
      return lab
    }

    /// Handshake, data in both directions, and super-packets leave from the address that was asked.
    @Test(arguments: [("192.168.1.20", "0.0.0.0"), ("192.168.1.20", "[::]"), ("[fd01::20]", "[::]")])
    func twoAddressesBehindAFirewall(endpoint: String, listen: String) async throws {
      let lab = try await Self.guarded(endpoint, listen: listen)
      try await lab.transfer(from: "s", to: "c", address: "10.99.0.1", bytes: 5 << 20).finish()
      try await lab.transfer(from: "c", to: "s", address: "10.99.0.2", bytes: 5 << 20, port: 9001).finish()
      try lab.run("\(Lab.zssp()) tunnel rekey \(lab.device("s"))")
      try await lab.waits { try lab.ratchetLength("c") >= 2 }
      let peer = try #require((try lab.show("c")["peers"] as? [[String: Any]])?.first)
      #expect(peer["endpoint"] as? String == "\(endpoint):4500")
      #expect(try lab.run("ping -q -c 20 -i 0.05 10.99.0.2", on: "c").contains(" 20 received"))
    }

    /// A host that loses the address at which it was reached goes on from another, and its peer
    /// follows.
    @Test func anAddressThatIsTakenAway() async throws {
      let lab = try await Self.guarded("192.168.1.20", listen: "0.0.0.0")
      try lab.run("iptables -F INPUT", on: "c")
      try lab.run("ip address del 192.168.1.20/24 dev v1", on: "s")
      try await lab.reaches("s", "10.99.0.1")
      try await lab.waits {
        let peer = (try lab.show("c")["peers"] as? [[String: Any]])?.first
        return peer?["endpoint"] as? String == "192.168.1.2:4500"
      }
    }

    // MARK: Sizes

    /// a and b with large links, and a narrow one between their routers, which say nothing of it.
    private static func narrow(_ mtu: Int, ends: Int = 9001) throws -> Lab {
      let lab = try Lab()
      try lab.add("a", "r", "s", "b")
      try lab.link("a", "r", mtu: ends)
      try lab.link("r", "s", mtu: mtu)
      try lab.link("s", "b", mtu: ends)
      for host in ["r", "s"] {
        try lab.run("sysctl -qw net.ipv4.ip_forward=1", on: host)
        try lab.run("iptables -A OUTPUT -p icmp -j DROP", on: host)
      }
      try lab.run("ip route add 192.168.3.0/24 via 192.168.1.2", on: "a")
      try lab.run("ip route add 192.168.3.0/24 via 192.168.2.2", on: "r")
      try lab.run("ip route add 192.168.1.0/24 via 192.168.2.1", on: "s")
      try lab.run("ip route add 192.168.1.0/24 via 192.168.3.1", on: "b")
      return lab
    }

    private static func start(_ lab: Lab, extra: String = "") async throws {
      _ = try await lab.tunnel("b", number: 2, extra: extra, peers: [Lab.Peer("a", number: 1)])
      _ = try await lab.tunnel("a", number: 1, extra: extra, peers: [Lab.Peer("b", number: 2, at: "192.168.3.2")])
      try await lab.reaches("a", "10.99.0.2")
    }

    private static func pathMTU(_ lab: Lab, of host: String) throws -> Int? {
      let peer = (try lab.show(host)["peers"] as? [[String: Any]])?.first
      return (peer?["pathMTU"] as? NSNumber)?.intValue
    }

    /// Jumbo frames at both ends, an ordinary network between, and no ICMP: the handshake passes,
    /// and full packets do.
    @Test func jumboFramesAtTheEnds() async throws {
      let lab = try Self.narrow(1500)
      try await Self.start(lab)
      // b does not know where a is when it starts, and takes an ordinary network and IPv6 for
      // granted.
      for (host, size) in [("a", 1500), ("b", 1480)] {
        try await lab.waits { try Self.pathMTU(lab, of: host) == size }
      }
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 5 << 20).finish()
      try await lab.transfer(from: "b", to: "a", address: "fd99::1", bytes: 5 << 20, port: 9001).finish()
      // From before the search has settled there is no loss either: what does not fit travels in
      // two.
      #expect(try lab.run("ping -q -c 5 -i 0.1 -s 8000 -M dont 10.99.0.2", on: "a").contains(" 5 received"))
      #expect(try lab.run("\(Lab.zssp()) tunnel show \(lab.device("a"))").contains("path MTU 1500"))
    }

    /// A narrow path, that gets narrower while it is used, and wide again. Nobody says so.
    @Test func aPathThatChanges() async throws {
      let lab = try Self.narrow(1400, ends: 1500)
      try await Self.start(lab)
      for host in ["a", "b"] { try await lab.waits { try Self.pathMTU(lab, of: host) == 1400 } }
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 5 << 20).finish()
      let stream = try await lab.stream(from: "a", to: "b", address: "10.99.0.2")
      try await lab.waits { try lab.received("b") > 1 << 20 }
      for host in ["r", "s"] { try lab.run("ip link set v2 mtu 1300", on: host) }
      try await lab.waits { try Self.pathMTU(lab, of: "a") == 1300 }
      let before = try lab.received("b")
      try await lab.waits { try lab.received("b") > before + 1 << 20 }
      try stream.finish()
      // The other side has sent nothing large yet, so it finds the limit by these answers.
      try await lab.waits { try lab.attempt("ping -q -c 1 -W 1 -M do -s 1232 fd99::2", on: "a").exitCode == 0 }
      // What IPv6 requires of every link passes, in two datagrams.
      #expect(try lab.run("ping -q -c 5 -i 0.1 -W 5 -M do -s 1232 fd99::2", on: "a").contains(" 5 received"))
      // Its sender knows what passes.
      try await lab.waits {
        let output = try lab.attempt("ping -c 1 -W 1 -M do -s 1300 10.99.0.2", on: "a").output
        return output.contains("mtu = 1240") || output.contains("mtu=1240")
      }
    }

    /// Datagrams are fragmented on their way if the tunnel does not search the path's MTU, and
    /// arrive.
    @Test func datagramsThatMayBeCut() async throws {
      let lab = try Self.narrow(1400, ends: 1500)
      try await Self.start(lab, extra: "path-mtu = \"fragment\"")
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 5 << 20).finish()
      #expect(try lab.run("ping -q -c 5 -i 0.1 -s 1392 -M do 10.99.0.2", on: "a").contains(" 5 received"))
      #expect(try Self.pathMTU(lab, of: "a") == nil)
    }

    /// The speed of TCP on a narrow path that was found, as a fraction of its speed with sizes set
    /// by hand. This needs a quiet machine: set ZSSP_PATH_SPEED to the seconds of each run.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["ZSSP_PATH_SPEED"] != nil))
    func speedOnANarrowPath() async throws {
      let seconds = ProcessInfo.processInfo.environment["ZSSP_PATH_SPEED"] ?? "5"
      func speed(_ extra: String) async throws -> Double {
        let lab = try Self.narrow(1400, ends: 1500)
        try await Self.start(lab, extra: extra)
        try await lab.waits { try Self.pathMTU(lab, of: "a") == 1400 }
        if extra.isEmpty { try await Task.sleep(for: .seconds(5)) }
        try await lab.serveTraffic("b")
        let sum = try lab.traffic("a", arguments: "-c 10.99.0.2 -t \(seconds)")["sum_received"] as? [String: Any]
        return try #require((sum?["bits_per_second"] as? NSNumber)?.doubleValue) / 1e6
      }
      var found = 0.0
      var byHand = 0.0
      for _ in 0..<3 {
        found = max(found, try await speed(""))
        byHand = max(byHand, try await speed("datagram = 1372"))
      }
      print("TCP on a path of 1400 bytes: \(Int(found)) Mbit/s found, \(Int(byHand)) Mbit/s by hand")
      #expect(found >= byHand * 0.9)
    }

    // MARK: Marks

    /// Returns the number of packets that each rule of a chain matched, in the chain's order.
    private static func hits(_ lab: Lab, of host: String, table: String, chain: String) throws -> [Int] {
      try lab.run("iptables -t \(table) -nvxL \(chain)", on: host).split(separator: "\n").dropFirst(2).map { line in
        Int(line.split(separator: " ").first ?? "") ?? -1
      }
    }

    /// A pair that knows each other well enough for marks.
    private static func marking(_ extra: String = "", listen: String? = nil) async throws -> Lab {
      let lab = try await Lab.pair(extra: extra, listen: listen)
      for host in ["a", "b"] { try await lab.waits { try pathMTU(lab, of: host) != nil } }
      return lab
    }

    /// Marks of congestion go out with the datagram, and come in with it, also over IPv4 from a
    /// socket of both families.
    @Test(arguments: [nil, "[::]:4500"] as [String?]) func congestionIsSeen(listen: String?) async throws {
      let lab = try await Self.marking(listen: listen)
      try lab.run("iptables -t mangle -A PREROUTING -i v1 -p udp --dport 4500 -m ecn --ecn-ip-ect 2", on: "b")
      try lab.run("iptables -A INPUT -i \(lab.device("b")) -p icmp -m ecn --ecn-ip-ect 2", on: "b")
      try lab.run("iptables -A INPUT -i \(lab.device("b")) -p icmp -m ecn --ecn-ip-ect 3", on: "b")
      try lab.run("ping -q -c 5 -i 0.05 -Q 2 10.99.0.2", on: "a")
      #expect(try Self.hits(lab, of: "b", table: "mangle", chain: "PREROUTING")[0] >= 5)
      #expect(try Self.hits(lab, of: "b", table: "filter", chain: "INPUT") == [5, 0])
      try lab.run("iptables -t mangle -A PREROUTING -i v1 -p udp --dport 4500 -j TOS --set-tos 0x03/0x03", on: "b")
      try lab.run("ping -q -c 5 -i 0.05 -Q 2 10.99.0.2", on: "a")
      #expect(try Self.hits(lab, of: "b", table: "filter", chain: "INPUT") == [5, 5])
      // Who does not know marks learns of congestion by loss.
      _ = try lab.attempt("ping -q -c 3 -i 0.05 -W 1 10.99.0.2", on: "a")
      #expect(try lab.drops("b", reason: "congested") == 3)
    }

    /// TCP slows down for marks instead of losses, and everything arrives.
    @Test func connectionsUnderstandMarks() async throws {
      let lab = try await Self.marking()
      for host in ["a", "b"] { try lab.run("sysctl -qw net.ipv4.tcp_ecn=1", on: host) }
      try lab.run(
        "iptables -t mangle -A PREROUTING -i v1 -p udp --dport 4500 -m ecn --ecn-ip-ect 2 -m statistic --mode random"
          + " --probability 0.05 -j TOS --set-tos 0x03/0x03", on: "b")
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 5 << 20).finish()
      let text = try lab.run("cat /proc/net/netstat", on: "b")
      let lines = text.split(separator: "\n").filter { $0.hasPrefix("IpExt:") }.map { $0.split(separator: " ") }
      let place = try #require(lines.first?.firstIndex(of: "InCEPkts"))
      #expect(Int(lines[1][place]) ?? 0 > 0, "\(text)")
      #expect(try lab.drops("b", reason: "congested") == 0)
    }

    /// The class of packets is that of their datagrams, or one for all, or none.
    @Test(arguments: [("", 0), ("dscp = \"copy\"", 46), ("dscp = 10", 10)])
    func classes(extra: String, expected: Int) async throws {
      let lab = try await Self.marking(extra)
      let rule = "-i v1 -p udp --dport 4500 -m length --length 200:300 -m dscp --dscp"
      for value in [0, 10, 46] { try lab.run("iptables -t mangle -A PREROUTING \(rule) \(value)", on: "b") }
      try lab.run("ping -q -c 5 -i 0.05 -s 150 -Q 0xb8 10.99.0.2", on: "a")
      let hits = try Self.hits(lab, of: "b", table: "mangle", chain: "PREROUTING")
      #expect(hits == [0, 10, 46].map { $0 == expected ? 5 : 0 })
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 5 << 20).finish()
    }
  }
}

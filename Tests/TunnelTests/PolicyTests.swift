// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// Default routes in a table of their own, which the tunnel's datagrams pass by because of their
  /// mark.
  @Suite(.long) struct PolicyTests {
    /// A host behind a router, with everything in a tunnel to a host behind the same router.
    private static func full(_ lab: Lab, extra: String = "") async throws -> Program {
      try lab.add("a", "r", "b")
      try lab.link("a", "r")
      try lab.link("r", "b")
      try lab.run("sysctl -qw net.ipv4.ip_forward=1", on: "r")
      for name in ["all", "v1"] { try lab.run("sysctl -qw net.ipv4.conf.\(name).rp_filter=0", on: "a") }
      try lab.run("ip route add default via 192.168.1.2", on: "a")
      try lab.run("ip route add default via 192.168.2.1", on: "b")
      try lab.run("ip address add 203.0.113.1/32 dev lo", on: "b")
      let everything = Lab.Peer("b", allowed: "[\"0.0.0.0/0\", \"::/0\"]", at: "192.168.2.2", extra: "keepalive = 1")
      let tunnel = try await lab.tunnel("a", number: 1, extra: extra, peers: [everything])
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "203.0.113.1")
      return tunnel
    }

    private static func state(_ lab: Lab) throws -> [String] {
      try ["ip -4 rule", "ip -6 rule", "ip route"].map { try lab.run($0, on: "a") }
    }

    /// Everything goes through the tunnel, what is nearby does not, and a new gateway on the same
    /// device changes nothing. No address outside is reached around the tunnel by anything but the
    /// tunnel. At the end all is as it was.
    @Test func aFullTunnelSurvivesANewGateway() async throws {
      let lab = try Lab()
      let tunnel = try await Self.full(lab)
      func way(_ address: String) throws -> String { try lab.run("ip route get \(address)", on: "a") }
      #expect(try way("203.0.113.1").contains("dev \(lab.device("a"))"))
      // The peer's own address too: only the mark leads around.
      #expect(try way("192.168.2.2").contains("dev \(lab.device("a"))"))
      #expect(try way("192.168.1.2").contains("dev v1"))
      #expect(try lab.run("ip route", on: "a").contains("default via 192.168.1.2"))
      try lab.run("ip address add 192.168.1.3/24 dev v1", on: "r")
      try lab.run("ip route replace default via 192.168.1.3", on: "a")
      try await lab.reaches("a", "203.0.113.1")
      try lab.run("ip route replace default via 192.168.1.2", on: "a")
      tunnel.send(SIGTERM)
      #expect(tunnel.finish().exitCode == 0)
      let after = try Self.state(lab)
      #expect(!after[0].contains("fwmark") && !after[0].contains("suppress"), "\(after)")
      #expect(!after[1].contains("fwmark") && !after[1].contains("suppress"), "\(after)")
      #expect(!FileManager.default.fileExists(atPath: "/run/zssp/\(lab.device("a"))"))
    }

    /// Rules, routes and addresses that other programs remove are put back: systemd-networkd removes
    /// those that it does not know whenever it starts.
    @Test func whatOthersRemoveIsPutBack() async throws {
      let lab = try Lab()
      let tunnel = try await Self.full(lab)
      let device = lab.device("a")
      let before = try Self.state(lab)
      let addresses = try lab.run("ip -oneline address show dev \(device) scope global", on: "a")
      for (index, family) in ["-4", "-6"].enumerated() {
        let own = before[index].split(separator: "\n").filter { $0.hasPrefix("324") }
        try #require(own.count == 2, "\(before)")
        for rule in own { try lab.run("ip \(family) rule del priority \(rule.prefix { $0 != ":" })", on: "a") }
      }
      try await lab.waits { try Self.state(lab) == before }
      for family in ["-4", "-6"] { try lab.run("ip \(family) route flush dev \(device) table 20763", on: "a") }
      try await lab.waits { try lab.run("ip route show table 20763", on: "a").contains("default dev \(device)") }
      try await lab.waits { try lab.run("ip -6 route show table 20763", on: "a").contains("default dev \(device)") }
      // With the last address the kernel removes all routes, and does not say so.
      try lab.run("ip address flush dev \(device)", on: "a")
      try await lab.waits {
        let now = try lab.run("ip -oneline address show dev \(device) scope global", on: "a")
        return now.split(separator: "\n").count == addresses.split(separator: "\n").count
      }
      try await lab.waits { try lab.run("ip route show table 20763", on: "a").contains("default dev \(device)") }
      #expect(try lab.run("ip route get 203.0.113.1", on: "a").contains("dev \(device)"))
      try await lab.reaches("a", "203.0.113.1")
      #expect(tunnel.output.contains("another program removed -4 rule add priority 32400"), "\(tunnel.output)")
      tunnel.send(SIGTERM)
      #expect(tunnel.finish().exitCode == 0)
      let after = try Self.state(lab)
      #expect(!after[0].contains("fwmark") && !after[1].contains("fwmark"), "\(after)")
    }

    /// A killed tunnel leaves rules, which lead nowhere; the next start removes them, and so does
    /// its end.
    @Test func rulesAreUndoneAfterACrash() async throws {
      let lab = try Lab()
      let first = try await Self.full(lab)
      let during = try Self.state(lab)
      #expect(during[0].contains("not from all fwmark") && during[1].contains("not from all fwmark"), "\(during)")
      first.send(SIGKILL)
      _ = first.finish()
      #expect(try lab.run("ip -4 rule", on: "a").contains("fwmark"))
      let second = try await lab.again("a")
      try await lab.reaches("a", "203.0.113.1")
      #expect(try Self.state(lab)[0].split(separator: "\n").count == during[0].split(separator: "\n").count)
      second.send(SIGTERM)
      #expect(second.finish().exitCode == 0)
      #expect(try !lab.run("ip -4 rule", on: "a").contains("fwmark"))
    }

    /// A peer that gets everything while the tunnel runs has the rules made, and removed when it is
    /// gone.
    @Test func rulesFollowThePeers() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      _ = try await lab.tunnel("a", number: 1, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
      #expect(try !lab.run("ip rule", on: "a").contains("fwmark"))
      let set = "\(try Lab.zssp()) tunnel set \(lab.device("a")) --peer \(try lab.key("b"))"
      try lab.run("\(set) --allowed-ips 0.0.0.0/0", on: "a")
      #expect(try lab.run("ip rule", on: "a").contains("fwmark"))
      try lab.run("\(set) --allowed-ips 10.99.0.2/32", on: "a")
      #expect(try !lab.run("ip rule", on: "a").contains("fwmark"))
    }

    /// Routes in a table that the administrator chose; nothing leads there by itself. The mark is
    /// on the tunnel's datagrams.
    @Test func aTableAndAMarkOfOnesOwn() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      let peer = Lab.Peer("b", allowed: "[\"10.99.0.2/32\", \"0.0.0.0/0\"]", at: "192.168.1.2", extra: "keepalive = 1")
      try lab.run("iptables -A OUTPUT -m mark --mark 77 -p udp --dport 4500", on: "a")
      let first = try await lab.tunnel(
        "a", number: 1, extra: "table = 1234\nfwmark = 77\nbind-device = \"v1\"", peers: [peer])
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      #expect(try lab.run("ip route show table 1234", on: "a").contains("default dev \(lab.device("a"))"))
      #expect(try !lab.run("ip rule", on: "a").contains("1234"))
      try await lab.reaches("a", "10.99.0.2")
      let counted = try lab.run("iptables -L OUTPUT -v -x -n", on: "a").split(separator: "\n").last ?? ""
      #expect(counted.split(separator: " ").first.flatMap { Int($0) } ?? 0 > 0, "\(counted)")
      first.send(SIGTERM)
      #expect(first.finish().exitCode == 0)
    }

    /// Datagrams leave by the device that the file names, whatever other routes say.
    @Test func theDeviceOfDatagrams() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      try lab.link("a", "b")
      for host in ["a", "b"] {
        for name in ["all", "v1", "v2"] { try lab.run("sysctl -qw net.ipv4.conf.\(name).rp_filter=0", on: host) }
      }
      // The shorter way leads nowhere.
      try lab.run("ip route add 192.168.1.0/24 via 192.168.2.2 dev v2 metric 100", on: "a")
      try lab.run("iptables -A OUTPUT -o v1 -p udp -j DROP", on: "a")
      _ = try await lab.tunnel(
        "a", number: 1, extra: "bind-device = \"v2\"", peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
    }

    /// Two tunnels for everything have a table and rules each, and the end of one leaves the other
    /// as it is.
    @Test func eachTunnelHasATableOfItsOwn() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      let everything = Lab.Peer("b", allowed: "[\"0.0.0.0/0\"]", at: "192.168.1.2")
      let first = try await lab.tunnel("a", number: 1, peers: [everything])
      let alone = try lab.run("ip rule", on: "a")
      let second = lab.path("second.toml")
      try String(contentsOfFile: lab.path("a.toml"), encoding: .utf8)
        .replacing("\"\(lab.device("a"))\"", with: "\"\(lab.device("a"))x\"").replacing(
          "0.0.0.0:4500", with: "0.0.0.0:4501"
        )
        .write(toFile: second, atomically: true, encoding: .utf8)
      let other = try lab.start("\(try Lab.zssp()) tunnel up --foreground \(second)", on: "a")
      try await other.waits(for: "is up")
      let both = try lab.run("ip rule", on: "a")
      #expect(both.contains("lookup 20763") && both.contains("lookup 20764"), "\(both)")
      #expect(try lab.run("ip route show table 20764", on: "a").contains("default dev \(lab.device("a"))x"))
      other.send(SIGTERM)
      #expect(other.finish().exitCode == 0)
      #expect(try lab.run("ip rule", on: "a") == alone)
      first.send(SIGTERM)
      #expect(first.finish().exitCode == 0)
    }

    /// A filter that would drop what peers send is named at the start.
    @Test(arguments: [0, 1, 2]) func aStrictFilterIsNamed(value: Int) async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      try lab.run("sysctl -qw net.ipv4.conf.all.rp_filter=0", on: "a")
      try lab.run("sysctl -qw net.ipv4.conf.v1.rp_filter=\(value)", on: "a")
      let everything = Lab.Peer("b", allowed: "[\"0.0.0.0/0\"]", at: "192.168.1.2")
      let tunnel = try await lab.tunnel("a", number: 1, peers: [everything])
      #expect(tunnel.output.contains("rp_filter is 1 for v1") == (value == 1), "\(tunnel.output)")
    }

    /// Name servers are set with `resolvconf` where that is what the system has, and taken back at
    /// the end and after a crash.
    @Test func nameServersAreSetAndTakenBack() async throws {
      let lab = try Lab()
      try lab.add("a")
      try lab.write("a", number: 1, extra: "dns = [\"10.99.0.53\"]\nsearch = [\"corp.example.org\"]", peers: [])
      let told = lab.path("told")
      let bin = lab.path("bin")
      try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: false)
      try "#!/bin/sh\necho \"$@\" >> \(told)\n[ \"$1\" = -d ] || cat >> \(told)\n"
        .write(toFile: "\(bin)/resolvconf", atomically: true, encoding: .utf8)
      try lab.run("chmod 755 \(bin)/resolvconf")
      // In front of the system's programs, for this start only.
      let up = """
        mount -t overlay overlay -o lowerdir=\(bin):/usr/sbin /usr/sbin || exit 99
        exec \(try Lab.zssp()) tunnel up --foreground \(lab.path("a.toml"))
        """
      let first = try lab.start("sh \(lab.script(up))", on: "a")
      try await lab.waits { first.output.contains("is up") || !first.isRunning }
      guard first.isRunning || first.finish().exitCode != 99 else { return }
      let name = "tun.\(lab.device("a"))"
      let set = "-a \(name) -m 0\nnameserver 10.99.0.53\nsearch corp.example.org\n"
      #expect(try String(contentsOfFile: told, encoding: .utf8) == set)
      first.send(SIGKILL)
      _ = first.finish()
      let second = try lab.start("sh \(lab.script(up))", on: "a")
      try await second.waits(for: "is up")
      second.send(SIGTERM)
      #expect(second.finish().exitCode == 0)
      let gone = "-d \(name) -f\n"
      #expect(try String(contentsOfFile: told, encoding: .utf8) == set + gone + set + gone)
    }

    /// The start fails if nothing can set name servers. It names the remedy and leaves nothing.
    @Test(
      .enabled(if: !Lab.isInstalled("resolvconf") && !FileManager.default.fileExists(atPath: "/run/systemd/resolve")))
    func nothingSetsNameServers() throws {
      let lab = try Lab()
      try lab.add("a")
      try lab.write("a", number: 1, extra: "dns = [\"10.99.0.53\"]", peers: [])
      let result = try lab.attempt("\(Lab.zssp()) tunnel up --foreground \(lab.path("a.toml"))", on: "a")
      #expect(result.exitCode == 1 && result.output.contains("leave out dns and search"), "\(result.output)")
      #expect(!FileManager.default.fileExists(atPath: "/run/zssp/\(lab.device("a"))"))
    }
  }
}

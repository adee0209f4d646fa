// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// Hosts that move, end, are killed and come back, and networks of several.
  @Suite(.long) struct ChangeTests {
    /// Three hosts behind one reach each other through it.
    @Test func threeBehindOne() async throws {
      let lab = try Lab()
      try lab.add("hub", "x", "y", "z")
      var peers: [Lab.Peer] = []
      for (index, host) in ["x", "y", "z"].enumerated() {
        try lab.link("hub", host)
        peers.append(Lab.Peer(host, number: index + 2))
        let hub = Lab.Peer("hub", allowed: "[\"10.99.0.0/24\", \"fd99::/64\"]", at: "192.168.\(index + 1).1")
        _ = try await lab.tunnel(host, number: index + 2, peers: [hub])
      }
      try lab.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", on: "hub")
      let hub = try await lab.tunnel("hub", number: 1, peers: peers)
      for host in ["x", "y", "z"] { try await lab.reaches(host, "10.99.0.1") }
      try await lab.reaches("x", "10.99.0.3")
      try await lab.reaches("y", "fd99::4")
      let first = try await lab.transfer(from: "x", to: "z", address: "10.99.0.4", bytes: 5 << 20)
      let second = try await lab.transfer(from: "y", to: "x", address: "10.99.0.2", bytes: 5 << 20, port: 9001)
      try first.finish()
      try second.finish()
      // Peers leave and come while it runs.
      let key = try lab.key("x")
      try lab.run("\(Lab.zssp()) tunnel set \(lab.device("hub")) --peer \(key) --remove")
      #expect(try lab.attempt("ping -c 1 -W 1 10.99.0.2", on: "hub").exitCode != 0)
      try lab.run("\(Lab.zssp()) tunnel set \(lab.device("hub")) --peer \(key) --allowed-ips 10.99.0.2/32,fd99::2/128")
      try await lab.reaches("x", "10.99.0.1")
      hub.send(SIGTERM)
      #expect(hub.finish().exitCode == 0)
    }

    /// The client gets another address in the middle of a transfer, which goes on.
    @Test func roaming() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      _ = try await lab.tunnel("a", number: 1, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
      try await lab.reaches("a", "10.99.0.2")
      let transfer = try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 100 << 20)
      let session = try #require((try lab.show("b")["peers"] as? [[String: Any]])?.first?["ratchetLength"] as? NSNumber)
      // Without this the second address goes with the first.
      try lab.run("sysctl -qw net.ipv4.conf.v1.promote_secondaries=1", on: "a")
      try lab.run("ip address add 192.168.1.9/24 dev v1", on: "a")
      try lab.run("ip address del 192.168.1.1/24 dev v1", on: "a")
      try transfer.finish()
      let peer = try #require((try lab.show("b")["peers"] as? [[String: Any]])?.first)
      #expect(peer["endpoint"] as? String == "192.168.1.9:4500")
      // It was the same session all the time.
      #expect(peer["ratchetLength"] as? NSNumber == session)
    }

    /// A NAT that forgets quickly is kept open, so that the host behind it can be reached.
    @Test func natIsKeptOpen() async throws {
      let lab = try Lab()
      try lab.add("a", "nat", "b")
      try lab.link("a", "nat")
      try lab.link("nat", "b")
      try lab.run("sysctl -qw net.ipv4.ip_forward=1", on: "nat")
      try lab.run("iptables -t nat -A POSTROUTING -o v2 -j MASQUERADE", on: "nat")
      try lab.run(
        "sysctl -qw net.netfilter.nf_conntrack_udp_timeout=3 net.netfilter.nf_conntrack_udp_timeout_stream=3", on: "nat"
      )
      try lab.run("ip route add default via 192.168.1.2", on: "a")
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      _ = try await lab.tunnel(
        "a", number: 1, peers: [Lab.Peer("b", number: 2, at: "192.168.2.2", extra: "keepalive = 1")])
      // The session is opened without traffic, because of the keepalive.
      try await lab.reaches("b", "10.99.0.1")
      // The kernel's clock cannot be moved: three times what the NAT remembers.
      try await Task.sleep(for: .seconds(9))
      try lab.run("ping -c 2 -i 0.2 -W 2 10.99.0.1", on: "b")
    }

    /// A peer in persistent mode that restarts opens a session with the ratchet from its store.
    @Test func restartInPersistentMode() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      try lab.run("\(Lab.zssp()) otp \(lab.path("otp"))")
      let password = "one-time-password-file = \"\(lab.path("otp"))\""
      func extra(_ host: String) -> String { "mode = \"persistent\"\nstore = \"file:\(lab.path("\(host).store"))\"" }
      _ = try await lab.tunnel(
        "a", number: 1, extra: extra("a"), peers: [Lab.Peer("b", number: 2, at: "192.168.1.2", extra: password)])
      let second = try await lab.tunnel(
        "b", number: 2, extra: extra("b"), peers: [Lab.Peer("a", number: 1, at: "192.168.1.1", extra: password)])
      try await lab.reaches("a", "10.99.0.2")
      second.send(SIGTERM)
      #expect(second.finish().exitCode == 0)
      _ = try await lab.again("b")
      try await lab.reaches("b", "10.99.0.1")
      try await lab.reaches("a", "10.99.0.2")
      let peer = try #require((try lab.show("b")["peers"] as? [[String: Any]])?.first)
      #expect((peer["ratchetLength"] as? NSNumber)?.intValue ?? 0 >= 2)
    }

    /// A tunnel that was killed comes back when it is started again, without help from the other
    /// side, and nothing of it is left.
    @Test func killedAndStartedAgain() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      // Everything goes through the tunnel but what goes to the peer.
      let everything = Lab.Peer("b", allowed: "[\"0.0.0.0/0\"]", at: "192.168.1.2")
      let before = try lab.run("ip route", on: "a")
      let first = try await lab.tunnel("a", number: 1, peers: [everything])
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1, at: "192.168.1.1")])
      try await lab.reaches("a", "10.99.0.2")
      let during = try lab.run("ip route", on: "a")
      first.send(SIGKILL)
      _ = first.finish()
      #expect(try lab.attempt("ip link show \(lab.device("a"))", on: "a").exitCode != 0)
      let second = try await lab.again("a")
      // The side that was not killed has a session that the other does not know; its packets get
      // through nevertheless.
      try await lab.reaches("b", "10.99.0.1")
      #expect(try lab.run("ip route", on: "a") == during)
      second.send(SIGTERM)
      #expect(second.finish().exitCode == 0)
      #expect(try lab.run("ip route", on: "a") == before)
      #expect(!FileManager.default.fileExists(atPath: "/run/zssp/\(lab.device("a"))"))
    }

    /// Hooks run in their turns, the process becomes another user, and `down` ends it.
    @Test func hooksUserAndDown() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      let marks = lab.path("marks")
      let hooks = ["pre-up", "post-up", "pre-down", "post-down"].map { "\($0) = [\"echo \($0) %i >> \(marks)\"]" }
      try lab.run("touch \(marks)")
      try lab.run("chmod 666 \(marks)")
      try lab.run("chmod 755 \(lab.folder.path)")
      let tunnel = try await lab.tunnel(
        "a", number: 1, extra: "user = \"nobody\"\n[hooks]\n\(hooks.joined(separator: "\n"))",
        peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1, at: "192.168.1.1")])
      try await lab.reaches("a", "10.99.0.2")
      let socket = try FileManager.default.attributesOfItem(atPath: "/run/zssp/\(lab.device("a"))/control")
      #expect((socket[.posixPermissions] as? NSNumber)?.intValue == 0o600)
      #expect(socket[.ownerAccountName] as? String == "nobody")
      // Every thread of it has become nobody. The program that was started is `ip`, which became
      // the tunnel.
      let threads = try lab.run("grep -h ^Uid -r /proc/\(tunnel.id)/task --include=status")
      for line in threads.split(separator: "\n") {
        #expect(!line.split(separator: "\t").dropFirst().contains("0"), "\(threads)")
      }
      try lab.run("\(Lab.zssp()) tunnel down \(lab.device("a"))")
      #expect(tunnel.finish().exitCode == 0)
      let device = lab.device("a")
      let expected = ["pre-up", "post-up", "pre-down", "post-down"].map { "\($0) \(device)\n" }.joined()
      #expect(try String(contentsOfFile: marks, encoding: .utf8) == expected)
    }

    /// A second tunnel with the same name is refused with an error that says why; the first
    /// continues.
    @Test func aNameIsUsedOnce() async throws {
      let lab = try await Lab.pair()
      let second = try lab.attempt("\(Lab.zssp()) tunnel up --foreground \(lab.path("a.toml"))", on: "a")
      #expect(second.exitCode == 1)
      #expect(second.output.contains("is running already"), "\(second.output)")
      try await lab.reaches("a", "10.99.0.2")
    }
  }
}

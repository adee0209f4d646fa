// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// The effects of a tunnel on its system, and on the other tunnels there.
  @Suite struct SystemTests {
    /// Routes that somebody else made stay, and the tunnel says which is in its way.
    @Test func routesOfOthersStay() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      try lab.run("ip route add 10.20.0.0/16 via 192.168.1.2", on: "a")
      try lab.run("ip route add 192.168.1.2/32 dev v1", on: "a")
      let before = try lab.run("ip route", on: "a")
      let taken = Lab.Peer("b", allowed: "[\"10.20.0.0/16\"]", at: "192.168.1.2")
      try lab.write("a", number: 1, peers: [taken])
      let refused = try lab.attempt("\(Lab.zssp()) tunnel up --foreground \(lab.path("a.toml"))", on: "a")
      #expect(refused.exitCode == 1)
      #expect(refused.output.contains("10.20.0.0/16"), "\(refused.output)")
      #expect(try lab.run("ip route", on: "a") == before)
      // An administrator's own route to the peer does what ours would do, and outlives us.
      let everything = Lab.Peer("b", allowed: "[\"0.0.0.0/0\"]", at: "192.168.1.2")
      let tunnel = try await lab.tunnel("a", number: 1, peers: [everything])
      tunnel.send(SIGTERM)
      #expect(tunnel.finish().exitCode == 0)
      #expect(try lab.run("ip route", on: "a") == before)
    }

    /// Two tunnels of one name in two network namespaces have one folder: the second is refused,
    /// and does the first no harm.
    @Test(.long) func oneNameInTwoNamespaces() async throws {
      let lab = try await Lab.pair()
      let text = try String(contentsOfFile: lab.path("b.toml"), encoding: .utf8)
        .replacing("\"\(lab.device("b"))\"", with: "\"\(lab.device("a"))\"")
      try text.write(toFile: lab.path("c.toml"), atomically: true, encoding: .utf8)
      let second = try lab.attempt("\(Lab.zssp()) tunnel up --foreground \(lab.path("c.toml"))", on: "b")
      #expect(second.exitCode == 1)
      #expect(second.output.contains("is running already"), "\(second.output)")
      #expect(try lab.show("a")["interface"] as? String == lab.device("a"))
    }

    /// The user that the process becomes can write nothing that the next start would obey, and the
    /// next start works.
    @Test(.long) func theUserDoesNotBecomeRoot() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      let everything = Lab.Peer("b", allowed: "[\"0.0.0.0/0\"]", at: "192.168.1.2")
      let first = try await lab.tunnel("a", number: 1, extra: "user = \"nobody\"", peers: [everything])
      let folder = "/run/zssp/\(lab.device("a"))"
      for name in ["", "/undo", "/lock"] {
        let owner = try FileManager.default.attributesOfItem(atPath: folder + name)[.ownerAccountName] as? String
        #expect(owner == "root", "\(name)")
      }
      let intruder = "setpriv --reuid=nobody --regid=nogroup --clear-groups"
      for command in ["touch \(folder)/undo", "rm -f \(folder)/control", "mv \(folder)/undo \(folder)/x"] {
        #expect(try lab.attempt("\(intruder) \(command)", on: "a").exitCode != 0, "\(command)")
      }
      // The socket is the user's own.
      try lab.run("\(intruder) \(Lab.zssp()) tunnel down \(lab.device("a"))", on: "a")
      #expect(first.finish().exitCode == 0)
      // Without privileges the route around the tunnel stayed; this start undoes and makes it
      // again.
      let second = try await lab.again("a")
      second.send(SIGTERM)
      #expect(second.finish().exitCode == 0)
    }

    /// A peer that is taken out is out, also where the process has no privileges left to change
    /// routes.
    @Test(arguments: ["", "user = \"nobody\""]) func aRevokedPeerIsOut(extra: String) async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      let peer = Lab.Peer("b", allowed: "[\"10.99.0.2/32\", \"10.30.0.0/16\"]", at: "192.168.1.2")
      _ = try await lab.tunnel("a", number: 1, extra: extra, peers: [peer])
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1, at: "192.168.1.1")])
      try await lab.reaches("a", "10.99.0.2")
      // Somebody has removed the route already.
      if extra.isEmpty { try lab.run("ip route del 10.30.0.0/16", on: "a") }
      let removal = try lab.attempt(
        "\(Lab.zssp()) tunnel set \(lab.device("a")) --peer \(lab.key("b")) --remove", on: "a")
      // A route that stays is said, also to scripts.
      #expect(removal.exitCode == (extra.isEmpty ? 0 : 1) && removal.output.contains("removed"), "\(removal.output)")
      #expect(removal.output.contains("10.30.0.0/16") == !extra.isEmpty, "\(removal.output)")
      #expect((try lab.show("a")["peers"] as? [Any])?.count == 0)
      #expect(try lab.attempt("ping -c 1 -W 1 10.99.0.1", on: "b").exitCode != 0)
    }

    /// Both sides open a session at the same moment, and afterwards each notices what becomes of
    /// it.
    @Test(.long) func bothOpenAtOnce() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      for host in ["a", "b"] { try lab.run("iptables -A INPUT -p udp --dport 4500 -j DROP", on: host) }
      _ = try await lab.tunnel(
        "a", number: 1, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2", extra: "keepalive = 1")])
      let second = try await lab.tunnel(
        "b", number: 2, peers: [Lab.Peer("a", number: 1, at: "192.168.1.1", extra: "keepalive = 1")])
      // Both are at it, and unheard.
      for host in ["a", "b"] { _ = try lab.attempt("ping -c 1 -W 1 10.99.0.\(host == "a" ? 2 : 1)", on: host) }
      for host in ["a", "b"] { try lab.run("iptables -D INPUT -p udp --dport 4500 -j DROP", on: host) }
      try await lab.reaches("a", "10.99.0.2")
      try await lab.reaches("b", "10.99.0.1")
      for round in 1...3 {
        try lab.run("\(Lab.zssp()) tunnel rekey \(lab.device(round == 2 ? "b" : "a"))")
        try await lab.waits { try lab.ratchetLength("a") > round && lab.ratchetLength("b") > round }
      }
      second.send(SIGKILL)
      _ = second.finish()
      _ = try await lab.again("b")
      try await lab.reaches("b", "10.99.0.1")
    }

    /// Ratchets are kept by whom the process becomes. Where that is not possible the tunnel is
    /// refused, before anything is done.
    @Test(.long, arguments: ["file", "sqlite"]) func theUserHasTheStore(kind: String) async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      try lab.run("chmod 755 \(lab.folder.path)")
      let extra = "user = \"nobody\"\nstore = \"\(kind):\(lab.path("kept"))/s\""
      try lab.write("a", number: 1, extra: extra, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
      try lab.run("mkdir \(lab.path("kept"))")
      for command in ["check", "up --foreground"] {
        let refused = try lab.attempt("\(Lab.zssp()) tunnel \(command) \(lab.path("a.toml"))", on: "a")
        #expect(refused.exitCode == 2)
        #expect(refused.output.contains("may not write in"), "\(refused.output)")
      }
      try lab.run("chown nobody \(lab.path("kept"))")
      if kind == "sqlite" {
        let refused = try lab.attempt("\(Lab.zssp()) tunnel check \(lab.path("a.toml"))", on: "a")
        #expect(refused.output.contains("by a start without 'user'"), "\(refused.output)")
        let file = try String(contentsOfFile: lab.path("a.toml"), encoding: .utf8)
        try file.replacing("user = \"nobody\"", with: "").write(
          toFile: lab.path("a.toml"), atomically: true, encoding: .utf8)
        let first = try await lab.again("a")
        first.send(SIGTERM)
        #expect(first.finish().exitCode == 0)
        try lab.run("chown nobody \(lab.path("kept"))/s")
        try file.write(toFile: lab.path("a.toml"), atomically: true, encoding: .utf8)
      }
      _ = try await lab.again("a")
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1, at: "192.168.1.1")])
      try await lab.reaches("a", "10.99.0.2")
      // A ratchet that cannot be kept does not take its step.
      try lab.run("\(Lab.zssp()) tunnel rekey \(lab.device("a"))")
      try await lab.waits { try lab.ratchetLength("a") >= 2 }
    }

    /// A tunnel in the background writes its messages to a file in its folder.
    @Test(.long) func inTheBackground() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      try lab.write("a", number: 1, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
      let said = try lab.run("\(Lab.zssp()) tunnel up \(lab.path("a.toml"))", on: "a")
      #expect(said.contains("is up"))
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1, at: "192.168.1.1")])
      try await lab.reaches("a", "10.99.0.2")
      let log = "/run/zssp/\(lab.device("a"))/log"
      #expect(try String(contentsOfFile: log, encoding: .utf8).contains(" session with b address="))
      try lab.run("\(Lab.zssp()) tunnel down \(lab.device("a"))")
      #expect(try lab.attempt("ip link show \(lab.device("a"))", on: "a").exitCode != 0)
      #expect(try lab.attempt("\(Lab.zssp()) tunnel show \(lab.device("a"))", on: "a").exitCode != 0)
    }

    /// `show` names each dropped packet and its sender: a datagram that came twice, a forged one,
    /// and packets that were not read in time.
    @Test(.long) func lossesAreShown() async throws {
      let lab = try await Lab.pair()
      // Whatever comes from b comes to a twice.
      try lab.run("iptables -t mangle -A POSTROUTING -o v1 -p udp -j TEE --gateway 192.168.1.1", on: "b")
      try lab.run("ping -q -c 20 -i 0.05 10.99.0.2", on: "a")
      try await lab.waits { try lab.protocolDrops("a", reason: "replayed") > 0 }
      try lab.run("iptables -t mangle -F POSTROUTING", on: "b")
      try lab.run("bash \(lab.script("printf %0100d 7 > /dev/udp/192.168.1.2/4500"))", on: "a")
      try await lab.waits { try lab.protocolDrops("b", reason: "unknownKeyID") > 0 }
      let text = try lab.run("\(Lab.zssp()) tunnel show \(lab.device("b"))")
      #expect(text.contains("dropped by the protocol unknownKeyID: 1"), "\(text)")
    }

    /// `show` prints again until it is interrupted or the tunnel ends.
    @Test(.long) func showIsRepeated() async throws {
      let lab = try await Lab.pair()
      let watch = try lab.start("\(Lab.zssp()) tunnel show --watch --json \(lab.device("a"))", on: "a")
      func lines() -> [Substring] { watch.output.split(separator: "\n") }
      try await lab.waits { lines().count >= 3 }
      for line in lines().prefix(3) {
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(object?["interface"] as? String == lab.device("a"))
      }
      watch.send(SIGTERM)
      _ = watch.finish()
      let other = try lab.start("\(Lab.zssp()) tunnel show --watch \(lab.device("a"))", on: "a")
      try await other.waits(for: "allowed IPs")
      try lab.run("\(Lab.zssp()) tunnel down \(lab.device("a"))")
      let result = other.finish()
      #expect(result.exitCode == 2, "\(result.output)")
      #expect(
        result.output.contains("no tunnel of this name") || result.output.contains("is ending"), "\(result.output)")
    }

    /// A device that somebody removes ends the tunnel, and does not keep a processor busy.
    @Test(.long) func aRemovedDevice() async throws {
      let lab = try Lab()
      try lab.add("a")
      let tunnel = try await lab.tunnel("a", number: 1, peers: [])
      try lab.run("ip link del \(lab.device("a"))", on: "a")
      let result = tunnel.finish()
      #expect(result.exitCode == 1)
      #expect(result.output.contains("the network device \(lab.device("a")) failed"), "\(result.output)")
    }
  }
}

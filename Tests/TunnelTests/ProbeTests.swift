// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension NamespaceTests {
  /// The answers of `zssp ping` and `zssp tunnel check --probe` to the six most frequent troubles.
  @Suite struct ProbeTests {
    /// A listener at b, in whatever way it was started.
    private struct Scene {
      let lab: Lab
      /// The address of b.
      let address: String
      /// b's public key.
      let key: String

      /// The lines of `zssp ping --json` on a, and its exit code.
      func ping(_ arguments: String = "", peer: String? = nil) throws -> (lines: [[String: Any]], exitCode: Int32) {
        let command =
          "\(try Lab.zssp()) ping \(address):4500 --peer \(peer ?? key) --key \(lab.path("a.pem")) --json --timeout 3 \(arguments)"
        let result = try lab.attempt(command, on: "a")
        let lines = result.output.split(separator: "\n").filter { $0.hasPrefix("{") }
        let objects = try lines.map { line in
          try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(result.output)")
        }
        return (objects, result.exitCode)
      }

      /// The kinds of causes that ping names, the most likely first, and its exit code.
      func causes(_ arguments: String = "", peer: String? = nil) throws -> (kinds: [String], exitCode: Int32) {
        let (lines, exitCode) = try ping(arguments, peer: peer)
        return (lines.filter { $0["event"] as? String == "cause" }.compactMap { $0["kind"] as? String }, exitCode)
      }
    }

    /// a and b on one link, and a listener at b.
    private static func scene(_ arguments: String = "") async throws -> Scene {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      _ = try lab.key("a")
      let key = try lab.key("b")
      try await listen(lab, arguments)
      return Scene(lab: lab, address: "192.168.1.2", key: key)
    }

    private static func listen(_ lab: Lab, _ arguments: String = "") async throws {
      let program = try lab.start(
        "\(try Lab.zssp()) listen --bind 0.0.0.0:4500 --key \(lab.path("b.pem")) --echo \(arguments)", on: "b")
      try await program.waits(for: "listening on")
    }

    /// a, two routers, and b with a listener. The link between the routers is narrow.
    private static func narrow(_ mtu: Int, isSilent: Bool) async throws -> Scene {
      let lab = try Lab()
      try lab.add("a", "r", "s", "b")
      try lab.link("a", "r")
      try lab.link("r", "s", mtu: mtu)
      try lab.link("s", "b")
      for host in ["r", "s"] {
        try lab.run("sysctl -qw net.ipv4.ip_forward=1", on: host)
        if isSilent { try lab.run("iptables -A OUTPUT -p icmp -j DROP", on: host) }
      }
      try lab.run("ip route add 192.168.3.0/24 via 192.168.1.2", on: "a")
      try lab.run("ip route add 192.168.3.0/24 via 192.168.2.2", on: "r")
      try lab.run("ip route add 192.168.1.0/24 via 192.168.2.1", on: "s")
      try lab.run("ip route add 192.168.1.0/24 via 192.168.3.1", on: "b")
      _ = try lab.key("a")
      let key = try lab.key("b")
      try await listen(lab)
      return Scene(lab: lab, address: "192.168.3.2", key: key)
    }

    @Test func nothingIsWrong() async throws {
      let scene = try await Self.scene()
      let (lines, exitCode) = try scene.ping("--session --count 3 --interval 0.1")
      #expect(exitCode == 0)
      func line(_ event: String) -> [String: Any]? { lines.first { $0["event"] as? String == event } }
      #expect(line("route")?["interface"] as? String == "v1" && line("route")?["mtu"] as? Int == 1500)
      #expect((line("route")?["local"] as? String)?.hasPrefix("192.168.1.1:") == true)
      #expect(line("hello")?["answered"] as? Bool == true && (line("hello")?["sent"] as? [Int])?.count == 2)
      #expect(line("session")?["outcome"] as? String == "accepted")
      #expect(line("summary")?["number"] as? Int == 3 && line("summary")?["median"] != nil)
      #expect(line("cause") == nil)
    }

    @Test func aWrongKey() async throws {
      let scene = try await Self.scene()
      let (kinds, exitCode) = try scene.causes(peer: try scene.lab.key("other"))
      #expect(kinds.first == "wrongKey" && exitCode == 1)
    }

    @Test func aWrongProfile() async throws {
      let scene = try await Self.scene("--profile mlkem1024")
      let (kinds, exitCode) = try scene.causes()
      #expect(kinds == ["wrongProfile"] && exitCode == 1)
      #expect(try scene.causes("--profile mlkem1024") == ([], 0))
    }

    @Test func aFirewallThatIsSilent() async throws {
      let scene = try await Self.scene()
      try scene.lab.run("iptables -A INPUT -p udp -j DROP", on: "b")
      let (kinds, exitCode) = try scene.causes()
      #expect(kinds.first == "firewall" && exitCode == 1)
    }

    /// A router says that it may not pass the datagrams on.
    @Test func aFirewallThatReports() async throws {
      let scene = try await Self.narrow(1500, isSilent: false)
      try scene.lab.run("ip route add prohibit 192.168.3.2/32", on: "r")
      let (lines, exitCode) = try scene.ping()
      let hello = try #require(lines.first { $0["event"] as? String == "hello" })
      let report = try #require((hello["reports"] as? [[String: Any]])?.first)
      #expect(report["kind"] as? String == "prohibited" && report["from"] as? String == "192.168.1.2")
      #expect(lines.contains { $0["kind"] as? String == "firewallRejects" } && exitCode == 1)
    }

    /// The routers report the limit, or drop large packets in silence.
    @Test(arguments: [false, true]) func aSmallMTU(isSilent: Bool) async throws {
      let scene = try await Self.narrow(800, isSilent: isSilent)
      let (lines, exitCode) = try scene.ping()
      #expect(
        lines.filter { $0["event"] as? String == "cause" }.map { $0["kind"] as? String }
          == (isSilent ? ["smallMTU", "packetLoss"] : ["smallMTU"]))
      #expect(exitCode == 1)
      let limit = lines.first { $0["event"] as? String == "pathMTU" }?["mtu"] as? Int
      #expect(limit == (isSilent ? nil : 800))
    }

    /// The handshake fits, and the session's data does not.
    @Test func anMTUThatIsTooSmallForData() async throws {
      let scene = try await Self.narrow(1300, isSilent: false)
      let (kinds, exitCode) = try scene.causes()
      #expect(kinds == ["smallMTU"] && exitCode == 0)
      #expect(try scene.causes("--mtu 1232") == ([], 0))
    }

    /// One side has a ratchet that the other has lost, which says so, or is silent.
    @Test(arguments: [("opportunistic", "lostRatchet"), ("persistent", "ratchetNeeded")])
    func aLostRatchet(mode: String, cause: String) async throws {
      let scene = try await Self.scene("--mode \(mode)")
      let lab = scene.lab
      let zssp = try Lab.zssp()
      let store = "file:\(lab.path("a.store"))"
      try lab.run("\(zssp) otp \(lab.path("otp"))")
      try lab.run("\(zssp) store import-otp \(store) --peer \(scene.key) --otp-file \(lab.path("otp"))")
      let before = try Data(contentsOf: URL(filePath: lab.path("a.store")))
      let (kinds, exitCode) = try scene.causes("--no-session --store \(store)")
      #expect(kinds.first == cause && exitCode == 1, "\(kinds)")
      // The Hello names the state, and uses nothing up.
      #expect(try Data(contentsOf: URL(filePath: lab.path("a.store"))) == before)
    }

    /// A responder that never accepts the answers to its challenges: here its secrets change too
    /// fast.
    @Test func aBusyResponder() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      // Between two runs of the responder its port is closed, which would be reported.
      try lab.run("iptables -A OUTPUT -p icmp -j DROP", on: "b")
      _ = try lab.key("a")
      let key = try lab.key("b")
      let listen = "\(try Lab.zssp()) listen --bind 0.0.0.0:4500 --key \(lab.path("b.pem")) --challenge always --echo"
      let stop = lab.path("stop")
      let script = try lab.script("while [ ! -e \(stop) ]; do timeout 0.7 \(listen); done")
      let program = try lab.start("sh \(script)", on: "b")
      try await program.waits(for: "listening on")
      let scene = Scene(lab: lab, address: "192.168.1.2", key: key)
      let (kinds, exitCode) = try scene.causes("--timeout 8")
      try Data().write(to: URL(filePath: stop))
      #expect(kinds.first == "busy" && exitCode == 1, "\(kinds)")
    }

    /// A tunnel that runs is probed from beside it, and stays as it is.
    @Test func theProbeOfATunnelDisturbsNothing() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      for (host, number, other, place) in [("a", 1, "b", "192.168.1.2"), ("b", 2, "a", "192.168.1.1")] {
        let store = "store = \"file:\(lab.path("\(host).store"))\""
        _ = try await lab.tunnel(
          host, number: number, extra: store, peers: [Lab.Peer(other, number: 3 - number, at: place)])
      }
      try await lab.reaches("a", "10.99.0.2")
      let length = try lab.ratchetLength("a")
      let stores = try ["a", "b"].map { try Data(contentsOf: URL(filePath: lab.path("\($0).store"))) }
      let probed = try lab.attempt("\(Lab.zssp()) tunnel check --probe \(lab.path("a.toml"))", on: "a")
      #expect(probed.exitCode == 0, "\(probed.output)")
      #expect(probed.output.contains("X2 is authentic") && probed.output.contains("sent without ratchets"))
      try await lab.reaches("a", "10.99.0.2")
      #expect(try lab.ratchetLength("a") == length)
      #expect(try ["a", "b"].map { try Data(contentsOf: URL(filePath: lab.path("\($0).store"))) } == stores)
      // After a has ended, its Hello names the ratchet, and b is not disturbed either.
      try lab.run("\(Lab.zssp()) tunnel down \(lab.device("a"))")
      let again = try lab.attempt("\(Lab.zssp()) tunnel check --probe --json \(lab.path("a.toml"))", on: "a")
      #expect(again.exitCode == 0 && again.output.contains("\"usedRatchet\":true"), "\(again.output)")
      #expect(try ["a", "b"].map { try Data(contentsOf: URL(filePath: lab.path("\($0).store"))) } == stores)
    }
  }
}

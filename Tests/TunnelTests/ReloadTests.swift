// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// Changes of a running tunnel: by its file, by signals, and by commands about one peer.
  @Suite(.long) struct ReloadTests {
    private static func pair(
      _ lab: Lab, extra: String = "", peerExtra: String = ""
    ) async throws -> (Program, Program) {
      try lab.add("a", "b", "c")
      try lab.link("a", "b")
      try lab.link("a", "c")
      let first = try await lab.tunnel(
        "a", number: 1, extra: extra, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2", extra: peerExtra)])
      let second = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
      return (first, second)
    }

    private static func peer(_ lab: Lab, of host: String, name: String) throws -> [String: Any]? {
      (try lab.show(host)["peers"] as? [[String: Any]])?.first { $0["name"] as? String == name }
    }

    /// The file has another peer, another address, another route and other hooks afterwards; the
    /// session with the old peer goes on.
    @Test(arguments: ["command", "signal"]) func aChangedFileIsApplied(how: String) async throws {
      let lab = try Lab()
      let (first, _) = try await Self.pair(lab)
      let length = try lab.ratchetLength("a")
      let mark = lab.path("mark")
      try lab.write(
        "a", number: 1, extra: "mtu = 1300\n[hooks]\npost-down = [\"touch \(mark)\"]",
        peers: [
          Lab.Peer("b", allowed: "[\"10.99.0.2/32\", \"10.40.0.0/16\"]", at: "192.168.1.2"),
          Lab.Peer("c", number: 3, at: "192.168.2.2"),
        ])
      let file = lab.path("a.toml")
      let text = try String(contentsOfFile: file, encoding: .utf8)
        .replacing("\"10.99.0.1/24\"", with: "\"10.99.0.1/24\", \"10.98.0.1/24\"")
      try text.write(toFile: file, atomically: true, encoding: .utf8)
      if how == "command" {
        let said = try lab.run("\(Lab.zssp()) tunnel reload \(lab.device("a"))")
        #expect(said.contains("1 peer added, 1 peer changed"), "\(said)")
        #expect(said.contains("a restart is needed for mtu"), "\(said)")
      } else {
        first.send(SIGHUP)
        try await first.waits(for: "reload: hooks, addresses, 1 peer added, 1 peer changed")
      }
      _ = try await lab.tunnel("c", number: 3, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.3")
      #expect(try lab.run("ip route", on: "a").contains("10.40.0.0/16 dev \(lab.device("a"))"))
      #expect(try lab.run("ip address", on: "a").contains("10.98.0.1/24"))
      let peer = try #require(try Self.peer(lab, of: "a", name: "b"))
      #expect(peer["state"] as? String == "up" && (peer["ratchetLength"] as? NSNumber)?.intValue == length)
      // And back: what is not in the file any more goes.
      try lab.write("a", number: 1, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
      try lab.run("\(Lab.zssp()) tunnel reload \(lab.device("a"))")
      #expect(try !lab.run("ip route", on: "a").contains("10.40.0.0/16"))
      #expect(try !lab.run("ip address", on: "a").contains("10.98.0.1/24"))
      #expect(try Self.peer(lab, of: "a", name: "c") == nil)
      first.send(SIGTERM)
      #expect(first.finish().exitCode == 0)
      // The hooks are those of the last reload.
      #expect(!FileManager.default.fileExists(atPath: mark))
    }

    /// The device gets another address of the same network, then one of another network, and keeps
    /// all routes. The kernel deletes a secondary address with its primary, and the routes with the
    /// last address.
    @Test func anAddressIsReplaced() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      try lab.run(
        "sysctl -qw net.ipv4.conf.all.promote_secondaries=0 net.ipv4.conf.default.promote_secondaries=0", on: "a")
      let peer = Lab.Peer("b", allowed: "[\"10.99.0.2/32\", \"10.40.0.0/16\"]", at: "192.168.1.2")
      _ = try await lab.tunnel("a", number: 1, peers: [peer])
      let file = lab.path("a.toml")
      let text = try String(contentsOfFile: file, encoding: .utf8)
      for address in ["10.99.0.9/24", "10.98.0.1/24", "10.99.0.1/32", "10.99.0.1/24"] {
        try text.replacing("10.99.0.1/24", with: address).write(toFile: file, atomically: true, encoding: .utf8)
        let said = try lab.run("\(Lab.zssp()) tunnel reload \(lab.device("a"))")
        #expect(said.contains("addresses") && !said.contains("ip "), "\(said)")
        let held = try lab.run("ip -4 -o address show dev \(lab.device("a"))", on: "a")
        #expect(held.split(separator: "\n").count == 1 && held.contains("inet \(address) "), "\(held)")
        let routes = try lab.run("ip -4 route show dev \(lab.device("a"))", on: "a")
        #expect(routes.contains("10.40.0.0/16 scope link"), "\(routes)")
        // Within the device's network there is the kernel's own route.
        #expect(routes.contains("10.99.0.2 ") != address.hasPrefix("10.99.0.") || address.hasSuffix("/32"), "\(routes)")
      }
    }

    /// A route that exists already is named, with exit code 1, and a reload of the same file makes
    /// it once it is possible.
    @Test func whatFailedIsTriedAgain() async throws {
      let lab = try Lab()
      _ = try await Self.pair(lab)
      let reload = "\(try Lab.zssp()) tunnel reload \(lab.device("a"))"
      try lab.run("ip route add 10.40.0.0/16 dev v1", on: "a")
      try lab.write(
        "a", number: 1,
        peers: [Lab.Peer("b", allowed: "[\"10.99.0.2/32\", \"10.40.0.0/16\", \"10.41.0.0/16\"]", at: "192.168.1.2")])
      for _ in 0..<2 {
        let said = try lab.attempt(reload, on: "a")
        #expect(said.exitCode == 1 && said.output.contains("File exists"), "\(said.output)")
        #expect(said.output.contains("ip route add 10.40.0.0/16 dev \(lab.device("a"))"), "\(said.output)")
        #expect(try lab.run("ip route", on: "a").contains("10.41.0.0/16 dev \(lab.device("a"))"))
      }
      try lab.run("ip route del 10.40.0.0/16 dev v1", on: "a")
      try lab.run(reload)
      #expect(try lab.run("ip route", on: "a").contains("10.40.0.0/16 dev \(lab.device("a"))"))
      // So for one peer.
      try lab.run("ip route add 10.42.0.0/16 dev v1", on: "a")
      let set = "\(try Lab.zssp()) tunnel set \(lab.device("a")) --peer \(try lab.key("b"))"
      let said = try lab.attempt("\(set) --allowed-ips 10.99.0.2/32,10.42.0.0/16", on: "a")
      #expect(said.exitCode == 1 && said.output.contains("but not all routes"), "\(said.output)")
    }

    /// A file with a mistake changes nothing, and the tunnel goes on.
    @Test func aWrongFileChangesNothing() async throws {
      let lab = try Lab()
      let (first, _) = try await Self.pair(lab)
      let file = lab.path("a.toml")
      let text = try String(contentsOfFile: file, encoding: .utf8)
      try "nonsense = 1\n\(text)".write(toFile: file, atomically: true, encoding: .utf8)
      let refused = try lab.attempt("\(Lab.zssp()) tunnel reload \(lab.device("a"))", on: "a")
      #expect(refused.exitCode == 2 && refused.output.contains("unknown key \"nonsense\""), "\(refused.output)")
      first.send(SIGHUP)
      try await first.waits(for: "reload: \(file):1: unknown key")
      // This side's own key as a peer's.
      try text.replacing(lab.key("b"), with: lab.key("a")).write(toFile: file, atomically: true, encoding: .utf8)
      for command in ["reload \(lab.device("a"))", "check \(file)"] {
        let own = try lab.attempt("\(Lab.zssp()) tunnel \(command)", on: "a")
        #expect(own.exitCode == 2 && own.output.contains("public-key: is the tunnel's own key"), "\(own.output)")
        #expect(own.output.contains("\(file):"), "\(own.output)")
      }
      let set = "\(try Lab.zssp()) tunnel set \(lab.device("a")) --peer \(try lab.key("a"))"
      #expect(try lab.attempt(set, on: "a").exitCode == 2)
      try FileManager.default.removeItem(atPath: file)
      let missing = try lab.attempt("\(Lab.zssp()) tunnel reload \(lab.device("a"))", on: "a")
      #expect(missing.exitCode == 2 && missing.output.contains("\(file): no such file"), "\(missing.output)")
      #expect(!missing.output.contains("restart"), "\(missing.output)")
      try await lab.reaches("a", "10.99.0.2")
    }

    /// A peer is added, and removed again, by its name; the other's session is the same all the
    /// time.
    @Test func peersComeAndGo() async throws {
      let lab = try Lab()
      _ = try await Self.pair(lab)
      let zssp = try Lab.zssp()
      let device = lab.device("a")
      let key = try lab.key("c")
      let length = try lab.ratchetLength("a")
      let add = "\(zssp) tunnel peer add \(key) --interface \(device) --name c --endpoint 192.168.2.2:4500"
      try lab.run("\(add) --allowed-ips 10.99.0.3/32")
      _ = try await lab.tunnel("c", number: 3, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.3")
      let again = try lab.attempt(add, on: "a")
      #expect(again.exitCode == 2 && again.output.contains("is a peer already"), "\(again.output)")
      let set = "\(zssp) tunnel set \(device) --peer \(key)"
      let taken = try lab.attempt("\(set) --allowed-ips 10.99.0.3/32,10.99.0.2/32", on: "a")
      #expect(taken.exitCode == 2 && taken.output.contains("10.99.0.2/32 belongs to b"), "\(taken.output)")
      #expect(try Self.peer(lab, of: "a", name: "c")?["allowedIPs"] as? [String] == ["10.99.0.3/32"])
      try lab.run("\(zssp) tunnel peer remove c --interface \(device)")
      #expect(try Self.peer(lab, of: "a", name: "c") == nil)
      #expect(try lab.attempt("\(zssp) tunnel peer remove c --interface \(device)", on: "a").exitCode == 2)
      #expect(try lab.ratchetLength("a") == length)
    }

    /// A reload of the same file keeps what commands changed: a peer that was added or removed, and
    /// the demand for a one-time password.
    @Test func aReloadKeepsWhatCommandsChanged() async throws {
      let lab = try Lab()
      let (first, _) = try await Self.pair(lab, peerExtra: "pi3 = true")
      let zssp = try Lab.zssp()
      let device = lab.device("a")
      let key = try lab.key("c")
      try lab.run("\(zssp) tunnel peer add \(key) --interface \(device) --name c --allowed-ips 10.99.0.3/32")
      // The other side does not get the password, so no session is possible, whoever opens it.
      try lab.run("\(zssp) tunnel peer enroll b --interface \(device)")
      let said = try lab.run("\(zssp) tunnel reload \(device)")
      #expect(said.contains("nothing was changed"), "\(said)")
      #expect(try Self.peer(lab, of: "a", name: "c") != nil)
      #expect(try lab.attempt("ping -c 3 -i 0.3 -W 1 10.99.0.2", on: "a").exitCode != 0)
      #expect(try Self.peer(lab, of: "a", name: "b")?["state"] as? String != "up")
      try lab.run("\(zssp) tunnel peer remove c --interface \(device)")
      first.send(SIGHUP)
      try await first.waits(for: "reload: nothing was changed")
      #expect(try Self.peer(lab, of: "a", name: "c") == nil)
    }

    /// A peer in persistent mode that has lost its store comes back after both sides got a new
    /// one-time password, and not before. The hub runs all the time, and has its store.
    @Test func aPeerIsMended() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      try lab.run("\(Lab.zssp()) otp \(lab.path("otp"))")
      let password = "one-time-password-file = \"otp\""
      func extra(_ host: String) -> String { "mode = \"persistent\"\nstore = \"file:\(host).store\"" }
      _ = try await lab.tunnel("a", number: 1, extra: extra("a"), peers: [Lab.Peer("b", number: 2, extra: password)])
      let peer = Lab.Peer("a", number: 1, at: "192.168.1.1", extra: password)
      let second = try await lab.tunnel("b", number: 2, extra: extra("b"), peers: [peer])
      try await lab.reaches("b", "10.99.0.1")
      second.send(SIGTERM)
      #expect(second.finish().exitCode == 0)
      // The store is lost; the old password is none of the hub's any more.
      try FileManager.default.removeItem(atPath: lab.path("b.store"))
      let third = try await lab.again("b")
      _ = try lab.attempt("ping -c 3 -i 0.3 -W 1 10.99.0.1", on: "b")
      #expect((try lab.show("b")["peers"] as? [[String: Any]])?.first?["state"] as? String != "up")
      let store = try lab.attempt("\(Lab.zssp()) store list file:\(lab.path("a.store"))", on: "a")
      #expect(store.exitCode == 2 && store.output.contains("'zssp tunnel peer'"), "\(store.output)")
      let made = try Program([Lab.zssp(), "tunnel", "peer", "enroll", "b", "--interface", lab.device("a")]).finish()
      #expect(made.exitCode == 0, "\(made.output)")
      let fresh = try #require(made.output.split(separator: "\n").last.map(String.init))
      try Data("\(fresh)\n".utf8).write(to: URL(filePath: lab.path("otp2")))
      try lab.run("chmod 600 \(lab.path("otp2"))")
      try lab.run(
        "\(Lab.zssp()) tunnel peer enroll a --interface \(lab.device("b")) --otp-file \(lab.path("otp2"))", on: "b")
      try await lab.reaches("b", "10.99.0.1")
      // A ratchet that is forgotten on one side fits no more.
      try lab.run("\(Lab.zssp()) tunnel peer forget b --interface \(lab.device("a"))")
      third.send(SIGTERM)
      #expect(third.finish().exitCode == 0)
      _ = try await lab.again("b")
      #expect(try lab.attempt("ping -c 3 -i 0.3 -W 1 10.99.0.1", on: "b").exitCode != 0)
    }

    /// Requests that the commands never make are refused as well.
    @Test func requestsAreChecked() throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.write("a", number: 1, peers: [Lab.Peer("b", number: 2)])
      try lab.run("\(Lab.zssp()) tunnel up \(lab.path("a.toml"))", on: "a")
      func ask(_ request: String) throws -> String {
        let socket = "/run/zssp/\(lab.device("a"))/control"
        return try Program(["sh", "-c", "printf '%s\\n' '\(request)' | nc -NU '\(socket)'"]).finish().output
      }
      let key = try lab.key("b")
      for (request, reason) in [
        (#"{"enrollPeer":{"_0":"b","password":"short"}}"#, "shorter than"),
        (#"{"setPeer":{"_0":{"publicKey":"\#(key)","keepalive":-1}}}"#, "must be 0 to 65535"),
        (#"{"setPeer":{"_0":{"publicKey":"\#(key)","allowedIPs":["10.0.0.1/8"]}}}"#, "must be like"),
        (#"{"setPeer":{"_0":{"publicKey":"\#(key)","name":"a\u0007"}}}"#, "control characters"),
        (#"{"setPeer":{"_0":{"publicKey":"\#(key)","endpoint":"0.0.0.0:1"}}}"#, "is not the address of one host"),
        (#"{"removePeer":{"publicKey":"nobody"}}"#, "no peer has this name"), ("{}", "brought something else"),
      ] {
        let answer = try ask(request)
        #expect(answer.contains("refused") && answer.contains(reason), "\(request): \(answer)")
      }
      #expect(try ask(#"{"show":{}}"#).contains("\"report\""))
      try lab.run("\(Lab.zssp()) tunnel down \(lab.device("a"))")
    }

    /// Members of a group see the status, and can do nothing else; a client that says nothing
    /// delays nobody.
    @Test(.enabled(if: Lab.isInstalled("setpriv"), "setpriv is not installed"))
    func aGroupSeesTheStatus() async throws {
      let lab = try Lab()
      _ = try await Self.pair(lab, extra: "status-group = \"adm\"")
      try lab.run("chmod 755 \(lab.folder.path)")
      let device = lab.device("a")
      let member = "setpriv --reuid=nobody --regid=nogroup --groups=adm"
      let stranger = "setpriv --reuid=nobody --regid=nogroup --clear-groups"
      let shown = try lab.run("\(member) \(Lab.zssp()) tunnel show \(device)", on: "a")
      #expect(shown.contains("peer b: up"), "\(shown)")
      for command in ["down", "rekey", "reload"] {
        #expect(try lab.attempt("\(member) \(Lab.zssp()) tunnel \(command) \(device)", on: "a").exitCode != 0)
      }
      let refused = try lab.attempt("\(stranger) \(Lab.zssp()) tunnel show \(device)", on: "a")
      #expect(refused.exitCode == 2 && refused.output.contains("status-group"), "\(refused.output)")
      // Many connect and are silent, on both sockets.
      let silent = """
        import socket, sys, time
        held = []
        for name in ("control", "status"):
            for _ in range(80):
                held.append(socket.socket(socket.AF_UNIX))
                held[-1].connect("/run/zssp/\(device)/" + name)
        print("held", flush=True)
        time.sleep(60)
        """
      guard Lab.isInstalled("python3") else { return }
      let holder = try lab.start("python3 \(lab.script(silent))", on: "a")
      try await holder.waits(for: "held")
      #expect(try lab.run("\(Lab.zssp()) tunnel show \(device)", on: "a").contains("peer b"))
      holder.send(SIGKILL)
      _ = holder.finish()
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// The unit for systemd: what it says is understood, and the rights that it gives are enough.
  @Suite(.long) struct ServiceTests {
    private static let unit = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Documentation/systemd/zssp-tunnel@.service").standardized

    /// The values of a key.
    private static func values(_ key: String) throws -> [String] {
      let lines = try String(contentsOf: unit, encoding: .utf8).split(separator: "\n")
      let line = try #require(lines.first { $0.hasPrefix("\(key)=") })
      return line.dropFirst(key.count + 1).split(separator: " ").map(String.init)
    }

    @Test(.enabled(if: Lab.isInstalled("systemd-analyze"), "systemd-analyze is not installed"))
    func theUnitIsUnderstood() throws {
      let lab = try Lab()
      // The program need not be installed here.
      let text = try String(contentsOf: Self.unit, encoding: .utf8).replacing("/usr/bin/zssp", with: Lab.zssp())
      let copy = lab.path("zssp-tunnel@.service")
      try text.write(toFile: copy, atomically: true, encoding: .utf8)
      // Older systemds do not know the keys for pauses that grow, and ignore them.
      let complaints = try lab.run("systemd-analyze verify \(copy)").split(separator: "\n")
      let isUnknown = complaints.allSatisfy {
        ($0.contains("RestartSteps") || $0.contains("RestartMaxDelaySec")) && $0.contains("Unknown key")
      }
      #expect(isUnknown, "\(complaints)")
    }

    /// Hooks, and what the tunnel itself does, need no other system calls than the unit allows.
    @Test(
      .enabled(
        if: Lab.isInstalled("systemd-analyze") && Lab.isInstalled("strace"),
        "systemd-analyze or strace is not installed"))
    func theSystemCallsAreEnough() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      let groups = try Self.values("SystemCallFilter")
      let allowed = try Self.systemCalls(groups, in: lab.run("systemd-analyze syscall-filter"))
      try #require(allowed.count > 100 && !allowed.contains("mount") && !allowed.contains("ptrace"))
      let chain = "OUTPUT -d 192.0.2.77 -j DROP"
      let hooks = """
        [hooks]
        pre-up = ["true"]
        post-up = ["sysctl -qw net.ipv4.ip_forward=1; iptables -A \(chain); ip rule add priority 900 to 192.0.2.77 lookup main"]
        pre-down = ["iptables -D \(chain); ip rule del priority 900"]
        """
      let store = "store = \"sqlite:\(lab.path("s"))\"\nshards = 2\nstatus-group = \"adm\""
      let everything = Lab.Peer("b", allowed: "[\"0.0.0.0/0\", \"::/0\"]", at: "192.168.1.2")
      try lab.write("a", number: 1, extra: "\(store)\n\(hooks)", peers: [everything])
      let trace = lab.path("trace")
      let up = "\(try Lab.zssp()) tunnel up --foreground \(lab.path("a.toml"))"
      let tunnel = try lab.start("strace -f -qq -e signal=none -o \(trace) \(up)", on: "a")
      try await tunnel.waits(for: "is up")
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
      for command in ["show", "rekey", "reload", "down"] {
        try lab.run("\(Lab.zssp()) tunnel \(command) \(lab.device("a"))")
      }
      #expect(tunnel.finish().exitCode == 0, "\(tunnel.output)")
      // A line is a process, and a call or the end of one that began before.
      let text = try String(contentsOfFile: trace, encoding: .utf8)
      let used = text.split(separator: "\n").compactMap { line -> String? in
        let words = line.split(separator: " ", omittingEmptySubsequences: true)
        guard words.count > 1, let end = words[1].firstIndex(of: "(") else { return nil }
        return String(words[1][..<end])
      }
      #expect(Set(used).contains("epoll_wait") || Set(used).contains("epoll_pwait2"))
      #expect(Set(used).subtracting(allowed).isEmpty, "\(Set(used).subtracting(allowed).sorted())")
    }

    /// The system calls of groups, which name each other, as `systemd-analyze syscall-filter` lists
    /// them.
    private static func systemCalls(_ groups: [String], in text: String) -> Set<String> {
      var members: [String: [String]] = [:]
      var group = ""
      for line in text.split(separator: "\n") {
        let word = line.trimmingCharacters(in: .whitespaces)
        if line.hasPrefix("@") {
          group = word
        } else if line.hasPrefix(" "), !word.hasPrefix("#") {
          members[group, default: []].append(word)
        }
      }
      var found: Set<String> = []
      var open: [String] = groups
      while let name = open.popLast() {
        if name.hasPrefix("@") { open += members.removeValue(forKey: name) ?? [] } else { found.insert(name) }
      }
      return found
    }

    /// Everything that a tunnel does, with the unit's capabilities and no others: routes, also
    /// around the tunnel, a port below 1024, and another user.
    @Test(.enabled(if: Lab.isInstalled("setpriv"), "setpriv is not installed"), arguments: ["", "user = \"nobody\""])
    func theCapabilitiesAreEnough(extra: String) async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      try lab.run("sysctl -qw net.ipv4.ip_unprivileged_port_start=1024", on: "a")
      let everything = Lab.Peer("b", allowed: "[\"0.0.0.0/0\", \"::/0\"]", at: "192.168.1.2")
      try lab.write("a", number: 1, extra: "table = \"main\"\n\(extra)", peers: [everything])
      let file = lab.path("a.toml")
      let text = try String(contentsOfFile: file, encoding: .utf8)
      try text.replacing("0.0.0.0:4500", with: "0.0.0.0:450").write(toFile: file, atomically: true, encoding: .utf8)
      let capabilities = try Self.values("CapabilityBoundingSet").map { "+\($0.dropFirst(4).lowercased())" }
      let rights = "--bounding-set -all,\(capabilities.joined(separator: ",")) --no-new-privs"
      let first = try lab.start("setpriv \(rights) \(Lab.zssp()) tunnel up --foreground \(file)", on: "a")
      try await first.waits(for: "is up")
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
      #expect(try lab.run("ip route", on: "a").contains("192.168.1.2 dev v1"))
      try lab.run("\(Lab.zssp()) tunnel rekey \(lab.device("a"))")
      try await lab.waits { try lab.ratchetLength("a") >= 2 }
      try lab.run("\(Lab.zssp()) tunnel down \(lab.device("a"))")
      let result = first.finish()
      #expect(result.exitCode == 0, "\(result.output)")
      // Whoever gave up its rights could not remove the route; the service's next start does.
      #expect(try lab.run("ip route", on: "a").contains("192.168.1.2 ") == !extra.isEmpty)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// Hooks, what remains of them after the end, and failures around them.
  @Suite(.long) struct HookTests {
    private static func configure(_ lab: Lab, hooks: String, extra: String = "") throws {
      try lab.add("a")
      try lab.write("a", number: 1, extra: "\(extra)\n[hooks]\n\(hooks)", peers: [])
    }

    /// A hook ends as `sh -c` does: what it leaves in the background, with our output open, keeps
    /// nobody waiting.
    @Test(arguments: ["--foreground", ""]) func whatAHookLeavesIsNotWaitedFor(mode: String) async throws {
      let lab = try Lab()
      let helper = lab.path("helper")
      try Self.configure(lab, hooks: "post-up = [\"sleep 300 & echo $! > \(helper)\"]")
      if mode.isEmpty {
        // The command's output is read to its end, which must come although the helper lives.
        let said = try lab.run("\(Lab.zssp()) tunnel up \(lab.path("a.toml"))", on: "a")
        #expect(said.contains("is up"), "\(said)")
      } else {
        _ = try await lab.again("a")
      }
      let id = try String(contentsOfFile: helper, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
      #expect(kill(try #require(Int32(id)), 0) == 0)
      try lab.run("\(Lab.zssp()) tunnel down \(lab.device("a"))")
      kill(try #require(Int32(id)), SIGKILL)
    }

    /// A hook that fails undoes everything, whatever words it says before.
    @Test func aFailingHookUndoesEverything() throws {
      let lab = try Lab()
      let mark = lab.path("mark")
      let device = lab.device("a")
      try Self.configure(lab, hooks: "post-up = [\"echo \(device) is up; exit 3\"]\npost-down = [\"touch \(mark)\"]")
      for mode in ["up", "up --foreground"] {
        let failed = try lab.attempt("\(Lab.zssp()) tunnel \(mode) \(lab.path("a.toml"))", on: "a")
        #expect(failed.exitCode == 1 && failed.output.contains("ended with exit code 3"), "\(failed.output)")
        #expect(FileManager.default.fileExists(atPath: mark))
        try FileManager.default.removeItem(atPath: mark)
        #expect(try lab.attempt("ip link show \(device)", on: "a").exitCode != 0)
        #expect(!FileManager.default.fileExists(atPath: "/run/zssp/\(device)"))
      }
    }

    /// A hook that a signal ends has failed. After a failure before anything exists the hooks of the
    /// end run, too.
    @Test(arguments: ["pre-up", "post-up"]) func aHookThatIsKilled(hook: String) throws {
      let lab = try Lab()
      let mark = lab.path("mark")
      try Self.configure(lab, hooks: "\(hook) = [\"kill -9 $$\"]\npost-down = [\"touch \(mark)\"]")
      let failed = try lab.attempt("\(Lab.zssp()) tunnel up --foreground \(lab.path("a.toml"))", on: "a")
      #expect(failed.exitCode == 1 && failed.output.contains("ended with exit code 137"), "\(failed.output)")
      #expect(FileManager.default.fileExists(atPath: mark))
      #expect(!FileManager.default.fileExists(atPath: "/run/zssp/\(lab.device("a"))"))
    }

    /// Signals are for a hook what they are by default, although the tunnel catches or ignores
    /// them.
    @Test func hooksHaveTheirSignals() async throws {
      let lab = try Lab()
      let file = lab.path("signals")
      try Self.configure(lab, hooks: "post-up = [\"grep -E '^Sig(Ign|Blk)' /proc/self/status > \(file)\"]")
      _ = try await lab.again("a")
      let text = try String(contentsOfFile: file, encoding: .utf8)
      let values = text.split(separator: "\n").compactMap { line in
        line.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) }
      }
      // The two that the C library keeps for itself do not count.
      let own: UInt64 = 1 << 31 | 1 << 32
      #expect(values.count == 2 && values.allSatisfy { $0 & ~own == 0 }, "\(text)")
    }

    /// A hang-up before and after the start ends nothing; nor does standard error that nobody reads
    /// any more.
    @Test func aHangUpAndAClosedPipe() async throws {
      let lab = try Lab()
      let mark = lab.path("mark")
      try Self.configure(lab, hooks: "post-down = [\"touch \(mark)\"]")
      let command = "\(try Lab.zssp()) tunnel up --foreground \(lab.path("a.toml"))"
      // The reader leaves at once.
      let tunnel = try lab.start("bash \(lab.script("exec \(command) 2> >(exit 0)"))", on: "a")
      let show = "\(try Lab.zssp()) tunnel show \(lab.device("a"))"
      try await lab.waits { try lab.attempt(show, on: "a").exitCode == 0 }
      tunnel.send(SIGHUP)
      try lab.run("\(Lab.zssp()) tunnel reload \(lab.device("a"))")
      tunnel.send(SIGTERM)
      #expect(tunnel.finish().exitCode == 0)
      #expect(FileManager.default.fileExists(atPath: mark))
      #expect(!FileManager.default.fileExists(atPath: "/run/zssp/\(lab.device("a"))"))
    }
  }

  /// Each thing that the system lacks or refuses is named with the remedy. The exit code is that of
  /// causes that may pass.
  @Suite(.long) struct ObstacleTests {
    /// Runs `up` in a mount namespace of its own, after a script.
    private static func up(_ lab: Lab, after script: String, mode: String = "--foreground") throws -> Program.Result {
      let command = "\(script)\nexec \(try Lab.zssp()) tunnel up \(mode) \(lab.path("a.toml"))"
      return try lab.attempt("sh \(lab.script("set -e\n\(command)"))", on: "a")
    }

    @Test func noDriver() throws {
      let lab = try Lab()
      try lab.add("a")
      try lab.write("a", number: 1, peers: [])
      let result = try Self.up(lab, after: "mount -t tmpfs none /dev/net")
      #expect(result.exitCode == 1 && result.output.contains("/dev/net/tun: "), "\(result.output)")
      #expect(result.output.contains("modprobe tun"), "\(result.output)")
    }

    @Test func aNameThatIsTaken() throws {
      let lab = try Lab()
      try lab.add("a")
      try lab.write("a", number: 1, peers: [])
      try lab.run("ip link add \(lab.device("a")) type veth peer name other", on: "a")
      let result = try Self.up(lab, after: "true")
      #expect(result.exitCode == 1 && result.output.contains("another device has this name"), "\(result.output)")
    }

    @Test(arguments: ["file", "sqlite"]) func aDiskWithoutRoomOrForReadingOnly(kind: String) throws {
      let lab = try Lab()
      try lab.add("a")
      let folder = lab.path("disk")
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
      try lab.write("a", number: 1, extra: "store = \"\(kind):disk/s\"", peers: [])
      let readOnly = try Self.up(
        lab, after: "mount -t tmpfs -o mode=700 none \(folder)\nmount -o remount,ro \(folder)")
      #expect(readOnly.exitCode == 1, "\(readOnly.output)")
      guard kind == "sqlite" else { return }
      let full = try Self.up(
        lab, after: "mount -t tmpfs -o mode=700,size=8k none \(folder)\nhead -c 8192 /dev/zero > \(folder)/x || true")
      #expect(full.exitCode == 1, "\(full.output)")
    }

    @Test func aStoreThatIsLocked() async throws {
      let lab = try Lab()
      try lab.add("a")
      try lab.write("a", number: 1, extra: "store = \"file:s\"", peers: [])
      _ = try await lab.again("a")
      let text = try String(contentsOfFile: lab.path("a.toml"), encoding: .utf8)
        .replacing(lab.device("a"), with: "\(lab.device("a"))x").replacing(":4500", with: ":4501")
      try text.write(toFile: lab.path("a.toml"), atomically: true, encoding: .utf8)
      let result = try Self.up(lab, after: "true")
      #expect(result.exitCode == 1 && result.output.contains("in use by another process"), "\(result.output)")
    }

    /// A tunnel on a host without IPv6 carries IPv4 only, and says so.
    @Test func noIPv6() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      for name in ["all", "default"] { try lab.run("sysctl -qw net.ipv6.conf.\(name).disable_ipv6=1", on: "a") }
      let first = try await lab.tunnel("a", number: 1, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
      #expect(first.output.contains("WARNING: IPv6 is off"), "\(first.output)")
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
    }

    /// BusyBox has a program of the same name that can do less.
    @Test func theIPOfBusyBox() throws {
      let lab = try Lab()
      try lab.add("a")
      try lab.write("a", number: 1, peers: [])
      let fake = try lab.script("#!/bin/sh\necho 'BusyBox v1.36.1 multi-call binary.' >&2\nexit 1")
      let result = try Self.up(lab, after: "chmod 755 \(fake)\nmount --bind \(fake) /bin/ip")
      #expect(result.exitCode == 1 && result.output.contains("BusyBox"), "\(result.output)")
      #expect(result.output.contains("install iproute2"), "\(result.output)")
    }

    /// `ip` may end before it has read its input.
    @Test func anIPThatEndsEarly() throws {
      let lab = try Lab()
      try lab.add("a")
      try lab.write("a", number: 1, peers: [])
      let fake = try lab.script("#!/bin/sh\nexec <&-\nexit 7")
      let result = try Self.up(lab, after: "chmod 755 \(fake)\nmount --bind \(fake) /bin/ip")
      #expect(result.exitCode == 1 && result.output.contains("exit code 7"), "\(result.output)")
      #expect(!FileManager.default.fileExists(atPath: "/run/zssp/\(lab.device("a"))"))
    }

    /// A key that the user may not read, and a folder in the place of one, are named with the
    /// remedy.
    @Test(.enabled(if: Lab.isInstalled("setpriv"), "setpriv is not installed")) func aKeyThatCannotBeRead() throws {
      let lab = try Lab()
      try lab.add("a")
      try lab.write("a", number: 1, peers: [])
      try lab.run("chmod 755 \(lab.folder.path)")
      let check = "\(try Lab.zssp()) tunnel check \(lab.path("a.toml"))"
      let refused = try lab.attempt("setpriv --reuid=nobody --regid=nogroup --clear-groups \(check)", on: "a")
      #expect(
        refused.exitCode == 2 && refused.output.contains("\(lab.path("a.pem")): Permission denied; run this as root"))
      try FileManager.default.removeItem(atPath: lab.path("a.pem"))
      try FileManager.default.createDirectory(atPath: lab.path("a.pem"), withIntermediateDirectories: false)
      let folder = try lab.attempt(check, on: "a")
      #expect(folder.exitCode == 2 && folder.output.contains("a.pem: is a folder, not a file"), "\(folder.output)")
    }

    /// A key may come through a pipe where the process reads it itself; in the background that is
    /// refused by name.
    @Test func aKeyThroughAPipe() async throws {
      let lab = try Lab()
      try lab.add("a")
      try lab.write("a", number: 1, peers: [])
      let file = lab.path("a.toml")
      let text = try String(contentsOfFile: file, encoding: .utf8)
        .replacing(lab.path("a.pem"), with: "/dev/stdin")
      try text.write(toFile: file, atomically: true, encoding: .utf8)
      let key = lab.path("a.pem")
      let up = "\(try Lab.zssp()) tunnel up"
      let background = try lab.attempt("sh \(lab.script("cat \(key) | \(up) \(file)"))", on: "a")
      #expect(
        background.exitCode == 2 && background.output.contains("private-key-file /dev/stdin: can be read once only"),
        "\(background.output)")
      let foreground = try lab.start("sh \(lab.script("cat \(key) | exec \(up) --foreground \(file)"))", on: "a")
      try await foreground.waits(for: "is up")
      try lab.run("\(Lab.zssp()) tunnel down \(lab.device("a"))")
      #expect(foreground.finish().exitCode == 0)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// A tunnel of a user without any privileges, on a device that an administrator has prepared.
  @Suite(.long, .enabled(if: Lab.isInstalled("setpriv"), "setpriv is not installed"))
  struct PreparedTests {
    private static let user = "nobody"

    /// A command as the user, who has no capabilities and gets none.
    private static func asUser(_ command: String) -> String {
      "setpriv --reuid=\(user) --regid=nogroup --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs \(command)"
    }

    /// Makes the user the owner of a's configuration.
    private static func give(_ lab: Lab) throws {
      try lab.run("chmod 755 \(lab.folder.path)")
      for file in ["a.pem", "a.toml"] { try lab.run("chown \(user) \(lab.path(file))") }
    }

    /// Makes the device and the folder, as the administrator does.
    private static func prepare(_ lab: Lab, for owner: String = user) throws {
      let device = lab.device("a")
      try lab.run("ip tuntap add dev \(device) mode tun user \(owner)", on: "a")
      try lab.run("install -d -m 700 -o \(user) /run/zssp/\(device)")
    }

    /// A command that starts the tunnel as the user, where all users can open the driver's file, or
    /// only root can.
    private static func start(_ lab: Lab, mode: String = "666") throws -> String {
      let text = """
        set -e
        mount -t tmpfs -o mode=755 none /dev/net
        mknod -m \(mode) /dev/net/tun c 10 200
        exec \(asUser("\(try Lab.zssp()) tunnel up --foreground \(lab.path("a.toml"))"))
        """
      return "sh \(try lab.script(text))"
    }

    private static func attempt(_ lab: Lab) throws -> Program.Result { try lab.attempt(start(lab), on: "a") }

    private static func up(_ lab: Lab) async throws -> Program {
      let program = try lab.start(start(lab), on: "a")
      try await program.waits(for: "is up")
      return program
    }

    /// Packets go both ways, and the device with its addresses outlasts the tunnel, which can be
    /// started again.
    @Test func aDeviceThatWasPrepared() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      try lab.write("a", number: 1, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
      try lab.write("b", number: 2, peers: [Lab.Peer("a", number: 1, at: "192.168.1.1")])
      try Self.give(lab)
      try Self.prepare(lab)
      let device = lab.device("a")
      for command in [
        "ip address add 10.99.0.1/24 dev \(device)", "ip address add fd99::1/64 dev \(device)",
        "ip link set dev \(device) mtu 1420 up",
      ] { try lab.run(command, on: "a") }
      let first = try await Self.up(lab)
      #expect(!first.output.contains("MTU"), "\(first.output)")
      let status = try String(contentsOfFile: "/proc/\(first.id)/status", encoding: .utf8)
      #expect(status.contains("CapEff:\t0000000000000000") && status.contains("CapBnd:\t0000000000000000"), "\(status)")
      _ = try await lab.again("b")
      try await lab.reaches("a", "10.99.0.2")
      try await lab.reaches("b", "fd99::1")
      // Larger than one packet, with and without super-packets.
      try await lab.transfer(from: "a", to: "b", address: "10.99.0.2", bytes: 3_000_000).finish()
      let shown = try lab.run(Self.asUser("\(Lab.zssp()) tunnel show \(device)"), on: "a")
      #expect(shown.contains("peer b: up"), "\(shown)")
      try lab.run(Self.asUser("\(Lab.zssp()) tunnel down \(device)"), on: "a")
      let result = first.finish()
      #expect(result.exitCode == 0, "\(result.output)")
      #expect(try lab.run("ip address show dev \(device)", on: "a").contains("10.99.0.1/24"))
      let second = try await Self.up(lab)
      try await lab.reaches("a", "10.99.0.2")
      second.send(SIGTERM)
      #expect(second.finish().exitCode == 0)
    }

    /// The message names the commands that the administrator forgot, and with these the tunnel
    /// starts.
    @Test func whatIsMissingIsNamed() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      let peer = Lab.Peer("b", allowed: "[\"10.99.0.2/32\", \"10.50.0.0/16\"]", at: "192.168.1.2")
      try lab.write("a", number: 1, extra: "mtu = 1400", peers: [peer])
      try lab.write("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try Self.give(lab)
      try Self.prepare(lab)
      let refused = try Self.attempt(lab)
      let device = lab.device("a")
      #expect(refused.exitCode == 1, "\(refused.output)")
      let quoted = refused.output.split(separator: "'", omittingEmptySubsequences: false).map(String.init)
      let commands = quoted.filter { $0.hasPrefix("ip ") }
      #expect(
        commands == [
          "ip address add 10.99.0.1/24 dev \(device)", "ip address add fd99::1/64 dev \(device)",
          "ip link set dev \(device) mtu 1400 up", "ip route add 10.50.0.0/16 dev \(device)",
        ], "\(refused.output)")
      for command in commands { try lab.run(command, on: "a") }
      _ = try await Self.up(lab)
      _ = try await lab.again("b")
      try await lab.reaches("a", "10.99.0.2")
    }

    /// The message names the administrator's command if the device or the folder is missing, or
    /// another user owns the device.
    @Test func obstacles() async throws {
      let lab = try Lab()
      try lab.add("a")
      try lab.write("a", number: 1, peers: [])
      try Self.give(lab)
      let device = lab.device("a")
      let remedy = "ip tuntap add dev \(device) mode tun user \(Self.user)"
      let folder = try Self.attempt(lab)
      #expect(folder.exitCode == 1 && folder.output.contains("install -d -m 700 -o "), "\(folder.output)")
      #expect(folder.output.contains(" /run/zssp/\(device)'"), "\(folder.output)")
      try lab.run("install -d -m 700 -o \(Self.user) /run/zssp/\(device)")
      let none = try Self.attempt(lab)
      #expect(none.exitCode == 1 && none.output.contains("'\(remedy)'"), "\(none.output)")
      try lab.run("ip tuntap add dev \(device) mode tun user daemon", on: "a")
      let others = try Self.attempt(lab)
      #expect(others.exitCode == 1 && others.output.contains("prepared for another user"), "\(others.output)")
      #expect(others.output.contains("'\(remedy)'"), "\(others.output)")
      let closed = try lab.attempt(Self.start(lab, mode: "600"), on: "a")
      #expect(closed.exitCode == 1 && closed.output.contains("'chmod 666 /dev/net/tun'"), "\(closed.output)")
      // With all privileges, a device that stays is another's too.
      for path in [lab.path("a.pem"), lab.path("a.toml"), "/run/zssp/\(device)"] { try lab.run("chown root \(path)") }
      let root = try lab.attempt("\(Lab.zssp()) tunnel up --foreground \(lab.path("a.toml"))", on: "a")
      #expect(root.exitCode == 1 && root.output.contains("another device has this name"), "\(root.output)")
      try Self.give(lab)
      try lab.run("install -d -m 700 -o \(Self.user) /run/zssp/\(device)")
      try lab.run("ip link del \(device)", on: "a")
      try lab.run("ip link add \(device) type veth peer name other", on: "a")
      let kind = try Self.attempt(lab)
      #expect(kind.exitCode == 1 && kind.output.contains("another device has this name"), "\(kind.output)")
    }

    /// Default routes need a mark, which needs privileges: that is said before anything is done.
    @Test(arguments: ["", "fwmark = 7"]) func whatNoPreparationMakesPossible(extra: String) throws {
      let lab = try Lab()
      try lab.add("a", "b")
      let allowed = extra.isEmpty ? "[\"0.0.0.0/0\"]" : "[\"10.99.0.2/32\"]"
      try lab.write("a", number: 1, extra: extra, peers: [Lab.Peer("b", allowed: allowed, at: "192.168.1.2")])
      try Self.give(lab)
      try Self.prepare(lab)
      let refused = try Self.attempt(lab)
      #expect(refused.exitCode == 2 && refused.output.contains("needs root or CAP_NET_ADMIN"), "\(refused.output)")
    }
  }

  /// The needs of a container: a process that has all of them, and processes that lack one each.
  @Suite(.long, .enabled(if: Lab.isInstalled("setpriv"), "setpriv is not installed"))
  struct ContainerTests {
    /// A script that makes what a container has: devices and a folder for run-time files of its
    /// own, settings of the system that cannot be changed, and of root's privileges only those that
    /// are given.
    private static func box(
      _ lab: Lab, devices: [String] = ["net/tun"], run: String = "rw", capabilities: String = ",+net_admin"
    ) throws -> String {
      let nodes = ["null", "zero", "random", "urandom"] + devices
      return """
        set -e
        mkdir \(lab.path("dev"))
        mount -t tmpfs -o mode=755 none \(lab.path("dev"))
        mkdir \(lab.path("dev"))/net
        for node in \(nodes.joined(separator: " ")); do
          touch \(lab.path("dev"))/$node
          mount --bind /dev/$node \(lab.path("dev"))/$node
        done
        mount --rbind \(lab.path("dev")) /dev
        mount -t tmpfs -o mode=755 none /run
        mount -o remount,\(run) /run
        mount --bind /proc/sys /proc/sys
        mount -o remount,bind,ro /proc/sys
        exec setpriv --inh-caps=-all --bounding-set=-all\(capabilities) --no-new-privs \
        \(try Lab.zssp()) tunnel up --foreground \(lab.path("a.toml"))
        """
    }

    /// A container with `--cap-add NET_ADMIN --device /dev/net/tun` and nothing else runs a tunnel
    /// to one network, and one for everything.
    @Test(arguments: ["10.99.0.2/32", "0.0.0.0/0"]) func withJustWhatIsNeeded(allowed: String) async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      try lab.write("a", number: 1, peers: [Lab.Peer("b", allowed: "[\"\(allowed)\"]", at: "192.168.1.2")])
      let first = try lab.start("sh \(lab.script(Self.box(lab)))", on: "a")
      try await first.waits(for: "is up")
      let status = try String(contentsOfFile: "/proc/\(first.id)/status", encoding: .utf8)
      // Number 12 is CAP_NET_ADMIN.
      #expect(status.contains("CapEff:\t0000000000001000") && status.contains("CapBnd:\t0000000000001000"), "\(status)")
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
      let inside = "nsenter -t \(first.id) -m -n \(try Lab.zssp()) tunnel"
      #expect(try lab.run("\(inside) show \(lab.device("a"))").contains("peer b: up"))
      try lab.run("\(inside) rekey \(lab.device("a"))")
      first.send(SIGTERM)
      let result = first.finish()
      #expect(result.exitCode == 0, "\(result.output)")
      #expect(try !lab.run("ip rule", on: "a").contains("207"))
      #expect(try lab.attempt("ip link show \(lab.device("a"))", on: "a").exitCode != 0)
    }

    /// The things that may be missing, and the words that name the remedy.
    @Test(arguments: [
      ("capability", "--cap-add NET_ADMIN"), ("device", "--device /dev/net/tun"), ("run", "--tmpfs /run"),
      ("user", "CAP_SETUID"), ("port", "CAP_NET_BIND_SERVICE"),
    ])
    func without(what: String, remedy: String) async throws {
      let lab = try Lab()
      try lab.add("a")
      try lab.run("sysctl -qw net.ipv4.ip_unprivileged_port_start=1024", on: "a")
      try lab.write("a", number: 1, extra: what == "user" ? "user = \"nobody\"" : "", peers: [])
      if what == "port" {
        let text = try String(contentsOfFile: lab.path("a.toml"), encoding: .utf8).replacing(":4500", with: ":450")
        try text.write(toFile: lab.path("a.toml"), atomically: true, encoding: .utf8)
      }
      let box = try Self.box(
        lab, devices: what == "device" ? [] : ["net/tun"], run: what == "run" ? "ro" : "rw",
        capabilities: what == "capability" ? "" : ",+net_admin")
      let result = try lab.attempt("sh \(lab.script(box))", on: "a")
      #expect(result.exitCode == 1 && result.output.contains(remedy), "\(result.output)")
      #expect(try lab.attempt("ip link show \(lab.device("a"))", on: "a").exitCode != 0)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

/// The programs of systemd-resolved, installed or unpacked.
private enum Resolved {
  static let root = ProcessInfo.processInfo.environment["ZSSP_RESOLVED"] ?? ""
  static let daemon = ["\(root)/lib/systemd/systemd-resolved", "\(root)/usr/lib/systemd/systemd-resolved"]
    .first(where: FileManager.default.isExecutableFile)

  /// The reason why no test with it is possible; nil if one is.
  static let obstacle: String? = {
    guard daemon != nil, FileManager.default.isExecutableFile(atPath: "\(root)/usr/bin/resolvectl") else {
      return "systemd-resolved is neither installed nor unpacked in ZSSP_RESOLVED"
    }
    for program in ["dbus-daemon", "nsenter", "python3"] where !Lab.isInstalled(program) {
      return "\(program) is not installed"
    }
    return nil
  }()
}

extension NamespaceTests {
  /// Name servers with the real systemd-resolved, which has a bus and a namespace of its own. Where
  /// that is not installed, which would change how this machine finds names, `ZSSP_RESOLVED` is a
  /// folder with its package unpacked.
  @Suite(.long, .enabled(if: Resolved.obstacle == nil, "\(Resolved.obstacle ?? "")"))
  struct ResolverTests {
    private static let bus = """
      <!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
        "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
      <busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
      <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
      <allow receive_sender="*"/></policy></busconfig>
      """

    /// Starts a bus and the resolver on a host, in a mount namespace for them, and returns a
    /// program that lasts as long as that.
    private static func resolver(_ lab: Lab, on host: String) async throws -> Program {
      let bin = lab.path("bin")
      let users = lab.path("passwd")
      let groups = lab.path("group")
      let bus = lab.path("bus.conf")
      try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: false)
      try lab.run("cp \(Resolved.root)/usr/bin/resolvectl \(bin)")
      try Self.bus.write(toFile: bus, atomically: true, encoding: .utf8)
      let text = """
        set -e
        mount -t overlay overlay -o lowerdir=\(bin):/usr/sbin /usr/sbin
        mount -t tmpfs -o mode=755 none /run
        mkdir -p /run/dbus /run/systemd/resolve
        for file in passwd group; do grep -v '^systemd-resolve:' /etc/$file > \(lab.folder.path)/$file; done
        echo 'systemd-resolve:x:64999:64999::/:/usr/sbin/nologin' >> \(users)
        echo 'systemd-resolve:x:64999:' >> \(groups)
        mount --bind \(users) /etc/passwd
        mount --bind \(groups) /etc/group
        chown 64999:64999 /run/systemd/resolve
        dbus-daemon --config-file=\(bus) --nofork --nopidfile &
        bus=$!
        until [ -S /run/dbus/system_bus_socket ]; do sleep 0.05; done
        \(try #require(Resolved.daemon)) &
        trap "kill -KILL $! $bus" EXIT
        until /usr/sbin/resolvectl status > /dev/null 2>&1; do sleep 0.05; done
        echo resolver is ready
        while [ ! -e \(lab.path("end")) ]; do sleep 0.1; done
        """
      let program = try lab.start("bash \(lab.script(text))", on: host)
      try await program.waits(for: "resolver is ready")
      return program
    }

    /// A name server that answers each question for an IPv4 address with 192.0.2.7, and writes the
    /// name down.
    private static let server = """
      import socket, sys
      server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      server.bind((sys.argv[1], 53))
      print("serving", flush=True)
      while True:
        question, sender = server.recvfrom(4096)
        labels, place = [], 12
        while question[place]:
          labels.append(question[place + 1:place + 1 + question[place]].decode())
          place += 1 + question[place]
        kind = question[place + 2]
        print("asked " + ".".join(labels), flush=True)
        answer = b"\\xc0\\x0c\\0\\x01\\0\\x01\\0\\0\\0\\x3c\\0\\x04\\xc0\\0\\x02\\x07" if kind == 1 else b""
        head = question[:2] + b"\\x81\\x80\\0\\x01" + (b"\\0\\x01" if answer else b"\\0\\0") + b"\\0\\0\\0\\0"
        server.sendto(head + question[12:place + 5] + answer, sender)
      """

    /// Names in the domains, or all names, are looked up at the tunnel's server, through the
    /// tunnel; and nothing is left at the end, nor after a crash.
    @Test(arguments: [true, false]) func namesAreLookedUpThroughTheTunnel(ofDomains: Bool) async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      let system = try await Self.resolver(lab, on: "a")
      let extra = "dns = [\"10.99.0.2\"]\(ofDomains ? "\nsearch = [\"corp.example.org\"]" : "")"
      try lab.write("a", number: 1, extra: extra, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      let server = try lab.start("python3 \(lab.script(Self.server)) 10.99.0.2", on: "b")
      try await server.waits(for: "serving")
      let device = lab.device("a")
      let inside = "nsenter -t \(system.id) -m"
      func ask(_ arguments: String) throws -> String {
        try lab.attempt("\(inside) /usr/sbin/resolvectl \(arguments)", on: "a").output
      }
      let up = "\(inside) \(try Lab.zssp()) tunnel up --foreground \(lab.path("a.toml"))"
      for signal in [SIGKILL, SIGTERM] {
        let tunnel = try lab.start(up, on: "a")
        try await tunnel.waits(for: "is up")
        #expect(try ask("dns \(device)").contains(": 10.99.0.2"))
        #expect(try ask("domain \(device)").contains(ofDomains ? ": corp.example.org" : ": ~."))
        let found = try ask("query -4 host.corp.example.org")
        #expect(found.contains("192.0.2.7"), "\(found)")
        #expect(server.output.contains("asked host.corp.example.org"))
        _ = try lab.attempt(
          "\(inside) timeout 10 /usr/sbin/resolvectl query -4 --cache=no elsewhere\(signal).example.net", on: "a")
        #expect(server.output.contains("asked elsewhere\(signal).example.net") == !ofDomains, "\(server.output)")
        tunnel.send(signal)
        _ = tunnel.finish()
        try await lab.waits { try !ask("status").contains("10.99.0.2") }
        _ = try ask("flush-caches")
      }
      try Data().write(to: URL(filePath: lab.path("end")))
      _ = system.finish()
      server.send(SIGKILL)
    }
  }
}

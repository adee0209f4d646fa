// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Foundation
  import Testing
  import ZSSPTestSupport

  /// The paths of `zssp tunnel`: the configuration, and those that are written in it.
  @Suite("Paths of tunnels", .tags(.slow), .serialized, .ownThreads, .timeLimit(.minutes(20)))
  struct TunnelPathTests {
    /// True if the tool was built with tunnels.
    private static let isBuilt = (try? Tool().run("tunnel", "--help").exitCode) == 0

    /// The key of a peer.
    private let peer = "A5hDFq+/DlcfH3O3qtgLSj8Bb9SMf+tmyIyQiAMBQFZJvJef7hWV1BLzcbY0o/S3IQ=="

    /// A configuration with one value of a key replaced, in a file for its owner alone.
    private func configure(_ ground: Ground, key: String = "", value: String = "") throws {
      var values = ["private-key-file": "key.pem", "one-time-password-file": "otp"]
      if !key.isEmpty { values[key] = value }
      let password = values.removeValue(forKey: "one-time-password-file") ?? ""
      // The protocol's key alone is not enough for a peer.
      let lines =
        values.map { "\($0) = \(quoted($1))" }
        + ["[[peer]]", "public-key = \"\(peer)\"", "one-time-password-file = \(quoted(password))"]
      try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: ground.tool.path("c.toml")))
      #expect(chmod(ground.tool.path("c.toml"), 0o600) == 0)
    }

    private func quoted(_ text: String) -> String { "\"\(text.replacing("\0", with: "\\u0000"))\"" }

    @Test(
      .enabled(if: isBuilt, "built without the trait Tunnel"), arguments: [["check"], ["up"], ["up", "--foreground"]])
    func aConfigurationThatCannotBeReadIsNamed(command: [String]) throws {
      let ground = try Ground()
      for path in Ground.unreadable {
        expectNamed(try ground.run(["tunnel"] + command + [path]), path: path, what: "\(command)")
      }
    }

    @Test(
      .enabled(if: isBuilt, "built without the trait Tunnel"),
      arguments: ["private-key-file", "one-time-password-file", "store-key-file"])
    func whatItNamesAndCannotBeReadIsNamed(key: String) throws {
      let ground = try Ground()
      try configure(ground)
      let good = try ground.run(["tunnel", "check", "c.toml"])
      #expect(good.exitCode == 0, "\(good.errors)")
      for path in Ground.unreadable where !path.isEmpty {
        try configure(ground, key: key, value: path)
        expectNamed(try ground.run(["tunnel", "check", "c.toml"]), path: path, what: key)
      }
      // The system would take what stands in front of the NUL, which is there.
      try configure(ground, key: key, value: "key.pem\0x")
      let result = try ground.run(["tunnel", "check", "c.toml"])
      #expect(result.exitCode == 2 && result.errors.contains("there is a NUL character"), "\(result.errors)")
    }

    @Test(.enabled(if: isBuilt, "built without the trait Tunnel"), arguments: ["", "file:", "sqlite:"])
    func aStoreThatIsNoneIsNamed(scheme: String) throws {
      let ground = try Ground()
      for path in [
        ".", "..", "/", "folder", "folder/", "key.pem/x", "missing/x", "circle", "fifo", "key.pem", "/dev/null",
        Ground.long,
      ] {
        try configure(ground, key: "store", value: scheme + path)
        expectNamed(try ground.run(["tunnel", "up", "--foreground", "c.toml"]), path: path, what: "store")
      }
      for name in ["store", "store\0x"] {
        try configure(ground, key: "store", value: "\(scheme)\(name)\0x")
        #expect(try ground.run(["tunnel", "up", "--foreground", "c.toml"]).exitCode == 2)
      }
    }

    /// Its hooks run with all privileges.
    @Test(.enabled(if: isBuilt, "built without the trait Tunnel"))
    func aConfigurationThatOthersCanWriteIsRefused() throws {
      let ground = try Ground()
      let path = ground.tool.path("c.toml")
      try configure(ground)
      for command in [["check"], ["up"], ["up", "--foreground"]] {
        for mode: mode_t in [0o620, 0o602, 0o666] {
          #expect(chmod(path, mode) == 0)
          let result = try ground.run(["tunnel"] + command + [path])
          #expect(result.exitCode == 2 && result.errors.contains("'chmod 600 \(path)'"), "\(result.errors)")
        }
        guard geteuid() == 0 else { continue }
        #expect(chmod(path, 0o600) == 0 && chown(path, 4242, 4242) == 0)
        let result = try ground.run(["tunnel"] + command + [path])
        #expect(result.exitCode == 2 && result.errors.contains("'chown 0 \(path)'"), "\(result.errors)")
        #expect(chown(path, 0, 0) == 0)
      }
      #expect(chmod(path, 0o644) == 0)
      let result = try ground.run(["tunnel", "check", path])
      #expect(result.exitCode == 0 && result.errors.split(separator: "\n").count == 1, "\(result.errors)")
      #expect(result.errors.contains("WARNING: \(path): others can read it (mode 644)"), "\(result.errors)")
    }

    /// The process in the background reads the configuration again.
    @Test(.enabled(if: isBuilt, "built without the trait Tunnel"))
    func aConfigurationFromAPipeIsForTheForeground() throws {
      let ground = try Ground()
      try configure(ground)
      let folder = ground.tool.folder.path
      let checked = try ground.tool.shell(#"cat c.toml | "$0" tunnel check /dev/stdin"#, in: folder)
      #expect(checked.exitCode == 0, "\(checked.errors)")
      let refused = try ground.tool.shell(#"cat c.toml | "$0" tunnel up /dev/stdin"#, in: folder)
      #expect(
        refused.exitCode == 2 && refused.errors.contains("/dev/stdin: can be read once only"), "\(refused.errors)")
    }

    @Test(.enabled(if: isBuilt, "built without the trait Tunnel"), arguments: ["show", "down", "rekey", "set"])
    func aNameIsNoPath(command: String) throws {
      let ground = try Ground()
      for name in ["", ".", "..", "/", "../x", "a/b", "//x", "sixteen-letters-", Ground.long] {
        let arguments = ["tunnel", command, name] + (command == "set" ? ["--peer", ground.key] : [])
        expectNamed(try ground.run(arguments), path: name.isEmpty ? "not the name" : name, what: command)
      }
    }

    /// A key without its configuration would be in the way of the next attempt.
    @Test(.enabled(if: isBuilt, "built without the trait Tunnel"), arguments: ["x.pem", "x.toml", "y.pem", "y.toml"])
    func initWritesAllFilesOrNone(taken: String) throws {
      let ground = try Ground()
      try Data("old".utf8).write(to: URL(filePath: ground.tool.path(taken)))
      let before = try ground.everything()
      expectNamed(try ground.run(["tunnel", "init", "x", "y"]), path: "\(taken) exists already", what: "init")
      #expect(try ground.everything() == before)
      #expect(try ground.run(["tunnel", "init", "x", "y", "--force"]).exitCode == 0)
      #expect(try ground.run(["tunnel", "check", "x.toml"]).exitCode == 0)
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Foundation
  import Testing
  import ZSSPTestSupport

  /// `zssp tunnel` as far as it needs no privileges: files are written, explained and refused.
  @Suite(.tags(.slow), .serialized, .ownThreads, .timeLimit(.minutes(20)))
  struct TunnelCommandTests {
    /// True if the tool was built with tunnels.
    private static let isBuilt = (try? Tool().run("tunnel", "--help").exitCode) == 0

    @Test(.enabled(if: isBuilt, "built without the trait Tunnel")) func whatInitWritesCheckUnderstands() throws {
      let tool = try Tool()
      let made = try tool.run(
        "tunnel", "init", "office", "home", "--folder", tool.folder.path, "--endpoint", "192.0.2.1:4500")
      #expect(made.exitCode == 0, "\(made.errors)")
      for host in ["office", "home"] {
        let permissions = try FileManager.default.attributesOfItem(atPath: tool.path("\(host).pem"))[.posixPermissions]
        #expect((permissions as? NSNumber)?.intValue == 0o600)
        // Where the command runs is not where the files are: paths are relative to the file.
        let checked = try tool.run("tunnel", "check", tool.path("\(host).toml"))
        #expect(checked.exitCode == 0, "\(checked.errors)")
        #expect(checked.output.contains("10.77.0."))
      }
      #expect(try tool.run("tunnel", "init", "office", "home", "--folder", tool.folder.path).exitCode == 2)
    }

    /// Files that could not work are not written; those for IPv6 listen there.
    @Test(.enabled(if: isBuilt, "built without the trait Tunnel")) func endpointsOfInit() throws {
      let tool = try Tool()
      for endpoint in ["vpn.example.org", "a\"b:1", "192.0.2.1:0"] {
        let made = try tool.run("tunnel", "init", "x", "y", "--folder", tool.folder.path, "--endpoint", endpoint)
        #expect(made.exitCode != 0)
      }
      let made = try tool.run(
        "tunnel", "init", "x", "y", "--folder", tool.folder.path, "--endpoint", "[2001:db8::1]:4500")
      #expect(made.exitCode == 0)
      #expect(try String(contentsOfFile: tool.path("x.toml"), encoding: .utf8).contains("\nlisten = \":4500\""))
      #expect(try String(contentsOfFile: tool.path("y.toml"), encoding: .utf8).contains("# listen = \":20763\""))
    }

    /// Values that only the program understands are checked with their line, too.
    @Test(
      .enabled(if: isBuilt, "built without the trait Tunnel"),
      arguments: [
        ("crypto = \"magic\"", "crypto: \"magic\" is not one of"), ("store = \"sqlite:\"", "store: "),
        ("user = \"no-such-user\"", "user: user \"no-such-user\": there is no such user"),
        ("private-key-file = \"\"", "private-key-file: is missing"),
      ])
    func theProgramsKeysHaveLines(line: String, expected: String) throws {
      let tool = try Tool()
      let file = tool.path("c.toml")
      let key = line.hasPrefix("private") ? "" : "private-key-file = \"k\"\n"
      try "\(key)mtu = 1400\n\(line)\n".write(toFile: file, atomically: true, encoding: .utf8)
      let result = try tool.run("tunnel", "check", file)
      let number = key.isEmpty ? 2 : 3
      #expect(result.exitCode == 2 && result.errors.contains("\(file):\(number): \(expected)"), "\(result.errors)")
    }

    @Test(.enabled(if: isBuilt, "built without the trait Tunnel")) func mistakesAreNamedWithTheirLines() throws {
      let tool = try Tool()
      let file = tool.path("bad.toml")
      try "private-key-file = \"k\"\nadresses = []\nmtu = 1\n".write(toFile: file, atomically: true, encoding: .utf8)
      for command in ["check", "up"] {
        let result = try tool.run("tunnel", command, file)
        #expect(result.exitCode == 2)
        #expect(result.errors.contains("\(file):2: unknown key \"adresses\"; did you mean \"addresses\"?"))
        #expect(result.errors.contains("\(file):3: mtu: must be a whole number from 576 to 65000"))
      }
      let key = try tool.run("keygen", tool.path("k.pem")).output.trimmingCharacters(in: .whitespacesAndNewlines)
      let peer = "[[peer]]\npublic-key = \"\(key)\"\nendpoint = \"[2001:db8::1]:4500\"\n"
      try "private-key-file = \"k.pem\"\nmtu = 65000\ndatagram = 1000\nlisten = \"0.0.0.0:0\"\n\(peer)"
        .write(toFile: file, atomically: true, encoding: .utf8)
      for command in ["check", "up"] {
        let result = try tool.run("tunnel", command, file)
        #expect(result.exitCode == 2)
        #expect(result.errors.contains("\(file):2: mtu: must be at most 47216"), "\(result.errors)")
        #expect(
          result.errors.contains("\(file):7: endpoint: [2001:db8::1]:4500 is of IPv6, which cannot be reached"),
          "\(result.errors)")
      }
      #expect(try tool.run("tunnel", "check", tool.path("none.toml")).exitCode == 2)
      #expect(try tool.run("tunnel", "show", "no-such-tunnel").exitCode == 2)
      #expect(try tool.run("tunnel", "show", "../x").exitCode == 2)
    }
  }
#endif

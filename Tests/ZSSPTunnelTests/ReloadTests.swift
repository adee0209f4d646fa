// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import Testing
  import ZSSPTestSupport
  import ZSSP
  import ZSSPSwiftCrypto

  @testable import ZSSPTunnel

  /// The parts of a file that a reload applies, and those that it names because they need a restart.
  @Suite(.tags(.fast))
  struct ReloadTests {
    private static let lines = [
      ("interface", "interface = \"other0\""), ("mtu", "mtu = 1300"), ("datagram", "datagram = 1300"),
      ("path-mtu", "path-mtu = \"fragment\""), ("dscp", "dscp = \"copy\""), ("listen", "listen = \":20763\""),
      ("mode", "mode = \"persistent\""), ("profile", "profile = \"mlkem1024\""),
      ("challenge", "challenge = \"always\""),
      ("shards", "shards = 2"), ("rekey-after", "rekey-after = \"30m\""), ("table", "table = \"off\""),
      ("table", "routes = false"), ("fwmark", "fwmark = 7"), ("bind-device", "bind-device = \"eth0\""),
      ("dns", "dns = [\"10.0.0.53\"]"), ("search", "search = [\"example.org\"]"), ("offload", "offload = false"),
      ("queue-length", "queue-length = 100"), ("busy-poll", "busy-poll = 20"), ("user", "user = \"nobody\""),
      ("status-group", "status-group = \"adm\""),
    ]
    /// The keys that a reload applies, besides those of the program.
    private static let applied = ["addresses", "metrics", "hooks", "peer"]

    private static func read(_ line: String) throws -> TunnelConfiguration {
      try TunnelConfiguration(toml: "private-key-file = \"k\"\n\(line)\n", file: "t.toml")
    }

    @Test(arguments: lines) func aKeyThatNeedsARestartIsNamed(key: String, line: String) throws {
      let former = try Self.read("")
      let next = try Self.read(line)
      #expect(Tunnel.fixedKeys(from: former, to: next) == [key])
      #expect(Tunnel.fixedKeys(from: next, to: next) == [])
    }

    /// A value that is added to the configuration is applied by a reload, or named.
    @Test func noValueIsForgotten() throws {
      let names = Mirror(reflecting: TunnelConfiguration()).children.compactMap(\.label)
      #expect(names.count == Set(Self.lines.map(\.0)).count + Self.applied.count, "\(names)")
    }

    @Test func whatAReloadAppliesNeedsNoRestart() throws {
      let key = StaticKey().publicKey.text
      for line in [
        "addresses = [\"10.0.0.1/24\"]", "metrics = \"127.0.0.1:9600\"", "[hooks]\npost-up = [\"true\"]",
        "[[peer]]\npublic-key = \"\(key)\"",
      ] { #expect(Tunnel.fixedKeys(from: try Self.read(""), to: try Self.read(line)) == [], "\(line)") }
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Foundation
  import Testing
  import ZSSPTestSupport

  /// `zssp tunnel import`: WireGuard's files become ours.
  @Suite(.tags(.slow), .serialized, .ownThreads, .timeLimit(.minutes(20)))
  struct TunnelImportTests {
    /// True if the tool was built with tunnels.
    private static let isBuilt = (try? Tool().run("tunnel", "--help").exitCode) == 0

    private static let source = """
      # A comment, and keys in any case.
      [Interface]
      Address = 10.7.0.1/24, fd07::1/64
      address = 10.8.0.1
      PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
      ListenPort = 51820
      MTU = 1380
      DNS = 10.7.0.53, corp.example.org
      Table = off
      FwMark = 0xca6c
      PostUp = iptables -A FORWARD -i %i -j ACCEPT; echo "up # not a comment"
      PostUp = echo second
      PreDown = iptables -D FORWARD -i %i -j ACCEPT
      SaveConfig = true

      [Peer]
      PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
      PresharedKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
      AllowedIPs = 10.7.0.2/32, 192.168.7.1/24
      Endpoint = vpn_1.example.org:51820
      PersistentKeepalive = 25

      [peer]
      PublicKey=TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
      AllowedIPs=10.7.0.3/32,192.168.7.0/24
      Endpoint=[2001:db8::7]:51820
      PersistentKeepalive = off
      """

    private func write(_ text: String, with tool: Tool) throws -> String {
      let path = tool.path("wg0.conf")
      try text.write(toFile: path, atomically: true, encoding: .utf8)
      #expect(chmod(path, 0o600) == 0)
      return path
    }

    @Test(.enabled(if: isBuilt, "built without the trait Tunnel")) func aFileBecomesOurs() throws {
      let tool = try Tool()
      let made = try tool.run("tunnel", "import", write(Self.source, with: tool), "--folder", tool.folder.path)
      #expect(made.exitCode == 0, "\(made.errors)")
      #expect(made.errors.contains("PresharedKey of peer 1 is not needed"))
      #expect(made.errors.contains("192.168.7.0/24 is peer 2's only"))
      let text = try String(contentsOfFile: tool.path("wg0.toml"), encoding: .utf8)
      for line in [
        "interface = \"wg0\"", "addresses = [\"10.7.0.1/24\", \"fd07::1/64\", \"10.8.0.1/32\"]", "listen = \":51820\"",
        "mtu = 1380", "allowed-ips = [\"10.7.0.2/32\"]", "endpoint = \"vpn_1.example.org:51820\"", "keepalive = 25",
        "allowed-ips = [\"10.7.0.3/32\", \"192.168.7.0/24\"]", "endpoint = \"[2001:db8::7]:51820\"",
        "dns = [\"10.7.0.53\"]", "search = [\"corp.example.org\"]", "table = \"off\"", "fwmark = 51820",
        "pre-down = [\"iptables -D FORWARD -i %i -j ACCEPT\"]",
      ] {
        #expect(text.contains("\(line)\n"), "\(line) is not in \(text)")
      }
      #expect(text.contains(#"-j ACCEPT; echo \"up # not a comment\"", "echo second"]"#), "\(text)")
      // No key of WireGuard's is kept but the public ones, as comments.
      #expect(!text.contains("yAnz5TF") && text.contains("# wg0-peer1.pem"))
      let checked = try tool.run("tunnel", "check", tool.path("wg0.toml"))
      #expect(checked.exitCode == 0, "\(checked.errors)")
      for (number, name) in [(1, "wg0-peer1.pem"), (2, "wg0-peer2.pem")] {
        let key = try tool.run("pubkey", tool.path(name)).output.trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(text.contains("name = \"peer\(number)\"") && text.contains("public-key = \"\(key)\""))
      }
      // Nothing is replaced without being asked for.
      #expect(try tool.run("tunnel", "import", tool.path("wg0.conf"), "--folder", tool.folder.path).exitCode == 2)
    }

    @Test(
      .enabled(if: isBuilt, "built without the trait Tunnel"),
      arguments: [
        ("Address = 10.0.0.1/24", 1, "stands above the first section"),
        ("[Interface]\nAdress = 10.0.0.1", 2, "unknown key \"adress\""),
        ("[Interface]\n\n[Pear]", 3, "neither [Interface] nor [Peer]"),
        ("[Peer]\nAllowedIPs = everything", 2, "\"everything\" is not like"),
        ("[Peer]\nEndpoint = 010.0.0.1:51820", 2, "no IPv4 address"), ("[Peer]\nnonsense", 2, "KEY = VALUE"),
      ])
    func mistakesAreNamedWithTheirLines(text: String, line: Int, reason: String) throws {
      let tool = try Tool()
      let path = try write(text, with: tool)
      let result = try tool.run("tunnel", "import", path, "--folder", tool.folder.path)
      #expect(result.exitCode == 2 && result.errors.contains("\(path):\(line): "), "\(result.errors)")
      #expect(result.errors.contains(reason), "\(result.errors)")
      #expect(!FileManager.default.fileExists(atPath: tool.path("wg0.toml")))
    }
  }
#endif

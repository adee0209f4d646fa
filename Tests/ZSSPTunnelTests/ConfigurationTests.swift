// SPDX-License-Identifier: Apache-2.0

#if Tunnel
  import Testing
  import ZSSPTestSupport
  import ZSSP
  import ZSSPOpenMetrics
  import ZSSPSwiftCrypto

  @testable import ZSSPTunnel

  /// Configuration files, and what is said of wrong ones.
  @Suite(.tags(.fast))
  struct ConfigurationTests {
    private let key = StaticKey().publicKey.text

    private func read(_ text: String) throws(TunnelConfigurationError) -> TunnelConfiguration {
      try TunnelConfiguration(toml: text, file: "t.toml")
    }

    /// Returns the problems of a text, one line each.
    private func problems(_ text: String) -> [String] {
      do { _ = try read(text) } catch { return error.description.split(separator: "\n").map(String.init) }
      return []
    }

    /// An address in the scope of a device that does not exist now is no mistake of the file: the
    /// device may come.
    @Test(arguments: ["endpoint", "listen"]) func aDeviceThatDoesNotExistIsNamed(key: String) {
      func text(_ address: String, extra: String = "") -> String {
        let listen = key == "listen" ? address : ":0"
        let endpoint = key == "endpoint" ? "endpoint = \"\(address)\"" : ""
        return
          "\(extra)\nlisten = \"\(listen)\"\nprivate-key-file = \"k.pem\"\n[[peer]]\npublic-key = \"\(self.key)\"\n\(endpoint)"
      }
      func failure(_ text: String) -> TunnelConfigurationError? {
        do { _ = try read(text) } catch { return error }
        return nil
      }
      let missing = failure(text("[fe80::1%zt-none]:4500"))
      #expect(missing?.isOfSystem == true && missing?.problems.count == 1)
      #expect(missing?.description.contains("there is no network device \"zt-none\"") ?? false)
      #expect(missing?.problems.first?.line == (key == "listen" ? 2 : 6))
      // With another mistake it is the file's.
      #expect(failure(text("[fe80::1%zt-none]:4500", extra: "mtu = 1"))?.isOfSystem == false)
      for wrong in ["[fe80::1%]:4500", "[fe80::x%zt-none]:4500"] { #expect(failure(text(wrong))?.isOfSystem == false) }
      #expect(failure(text("[fe80::1%lo]:4500")) == nil)
    }

    @Test func whereMetricsAreServed() throws {
      func text(_ value: String) -> String { "private-key-file = \"k\"\n\nmetrics = \(value)\n" }
      #expect(try read(text("\"127.0.0.1:9600\"")).metrics == MetricsAddress("127.0.0.1:9600"))
      #expect(try read(text("\"/run/zssp/m\"")).metrics == .unix(path: "/run/zssp/m"))
      #expect(try read("private-key-file = \"k\"\n").metrics == nil)
      for value in ["\":9600\"", "\"m.sock\"", "9600", "\"\"", "[]", "\"localhost:9600\""] {
        let found = problems(text(value))
        #expect(found.count == 1 && found[0].hasPrefix("t.toml:3: metrics: "), "\(found)")
      }
    }

    /// The lines of keys are known, for what can be said only when the private key is read.
    @Test func aPeerWithTheOwnKeyIsRefused() throws {
      let other = StaticKey().publicKey.text
      let (configuration, _, lines) = try TunnelConfiguration.read(
        toml:
          "private-key-file = \"k.pem\"\n[[peer]]\npublic-key = \"\(other)\"\n\n[[peer]]\nname = \"b\"\npublic-key = \"\(key)\"\n",
        file: "t.toml"
      ) { reader in _ = reader.string("private-key-file") }
      #expect(lines == [3, 7])
      let own = configuration.peers[1].publicKey
      #expect(throws: TunnelError.self) { try configuration.checkPeers(besides: own) }
      try configuration.checkPeers(besides: StaticKey().publicKey)
    }

    /// Names that are printed and select peers, devices and tables have one meaning and no control
    /// characters.
    @Test func namesHaveOneMeaning() throws {
      let other = StaticKey().publicKey.text
      let start = "private-key-file = \"k.pem\"\n"
      func named(_ name: String) -> [String] {
        problems("\(start)[[peer]]\nname = \"\(name)\"\npublic-key = \"\(key)\"\n")
      }
      for good in ["b", "Büro 2", String(repeating: "x", count: 64), key] { #expect(named(good) == [], "\(good)") }
      for bad in ["", "a\\nb", "\\u001b[2J", "\\u202eb", String(repeating: "x", count: 65), other] {
        #expect(named(bad).count == 1 && named(bad)[0].hasPrefix("t.toml:3: name: "), "\(bad)")
      }
      for bad in ["all", "default", "lo", "-x"] {
        #expect(
          problems("\(start)interface = \"\(bad)\"\n").first?.hasPrefix("t.toml:2: interface: ") ?? false, "\(bad)")
      }
      #expect(problems("\(start)table = 253\n") == [] && problems("\(start)table = \"main\"\n") == [])
      for bad in [254, 255] { #expect(problems("\(start)table = \(bad)\n").count == 1) }
    }

    /// An endpoint is one host.
    @Test(arguments: [
      "0.0.0.0", "[::]", "224.0.0.1", "239.255.255.255", "255.255.255.255", "[ff02::1]", "[ff02::1%lo]",
    ])
    func anEndpointIsOneHost(host: String) {
      #expect(throws: EndpointTextError.self) { try PeerEndpoint("\(host):20763") }
      #expect(throws: Never.self) { try ListenAddress("0.0.0.0:20763") }
    }

    @Test func everything() throws {
      let configuration = try read(
        """
        interface = "office"
        addresses = ["10.0.0.1/24", "fd00::1/64"]
        mtu = 1380
        datagram = 1412
        listen = "[::]:4500"
        private-key-file = "k.pem"
        store = "sqlite:/s.db"
        mode = "persistent"
        profile = "mlkem1024"
        challenge = "off"
        shards = 2
        rekey-after = "30m"
        routes = false
        user = "nobody"
        busy-poll = 20
        path-mtu = "fragment"
        dscp = 46
        [hooks]
        post-up = ["true"]
        [[peer]]
        name = "home"
        public-key = "\(key)"
        endpoint = "home.example.org:4500"
        allowed-ips = ["10.0.0.2/32", "fd00:1::/32"]
        identity = "office"
        keepalive = 25
        pi3 = false
        """)
      #expect(configuration.interface == "office" && configuration.mtu == 1380 && configuration.shards == 2)
      #expect(configuration.addresses.map(\.description) == ["10.0.0.1/24", "fd00::1/64"])
      #expect(configuration.flags == .persistent && configuration.profile == .mlkem1024)
      #expect(
        configuration.rekeyAfter == .seconds(1800) && configuration.table == .off && configuration.user == "nobody")
      #expect(configuration.hooks.postUp == ["true"] && configuration.busyPoll == .milliseconds(20))
      #expect(!configuration.discoversPathMTU && configuration.dscp == .fixed(46))
      let peer = try #require(configuration.peers.first)
      #expect(peer.publicKey.text == key && peer.keepalive == .seconds(25) && peer.identity == "office")
      #expect(peer.flags == SecurityFlags.persistent.subtracting(.responderDisallowsDowngrade))
      #expect(peer.allowedIPs.map(\.description) == ["10.0.0.2/32", "fd00:1::/32"])
    }

    /// Wrong lines, each below a good one, and what is said of them.
    @Test(arguments: [
      ("intreface = \"a\"", "t.toml:2: unknown key \"intreface\"; did you mean \"interface\"?"),
      ("zebra = 1", "t.toml:2: unknown key \"zebra\""),
      ("mtu = \"1400\"", "t.toml:2: mtu: must be a whole number from 576 to 65000"),
      ("dscp = 64", "t.toml:2: dscp: \"64\" is not copy, and no number from 0 to 63"),
      ("dscp = -1", "t.toml:2: dscp: \"-1\" is not copy, and no number from 0 to 63"),
      ("dscp = \"ef\"", "t.toml:2: dscp: \"ef\" is not copy, and no number from 0 to 63"),
      ("path-mtu = \"no\"", "t.toml:2: path-mtu: \"no\" is not one of discover, fragment"),
      ("mtu = 70000", "t.toml:2: mtu: must be a whole number from 576 to 65000"),
      (
        "mode = \"persistant\"",
        "t.toml:2: mode: \"persistant\" is not one of opportunistic, persistent; did you mean \"persistent\"?"
      ),
      (
        "interface = \"../x\"",
        "t.toml:2: interface: \"../x\" is not 1 to 15 letters, digits, - or _, without - in front, and not all, default or lo"
      ),
      ("addresses = [\"10.0.0\"]", "t.toml:2: addresses: \"10.0.0\" is not like 10.0.0.0/8 or 2001:db8::/32"),
      ("addresses = [1]", "t.toml:2: addresses: must be a list of texts, as in [\"one\", \"two\"]"),
      ("shards = 3", "t.toml:2: shards: must be 1, 2, 4, … 256"),
      ("routes = 1", "t.toml:2: routes: must be true or false"),
      (
        "rekey-after = \"soon\"",
        "t.toml:2: rekey-after: must be a number of seconds, or a duration like \"90s\", \"30m\" or \"1h\""
      ),
      (
        "rekey-after = \"9223372036854775807h\"",
        "t.toml:2: rekey-after: must be a number of seconds, or a duration like \"90s\", \"30m\" or \"1h\""
      ),
      ("[hooks]\npre-app = []", "t.toml:3: unknown key \"pre-app\"; did you mean \"pre-up\"?"),
      ("[[peer]]\nname = \"x\"", "t.toml:2: public-key is missing; 'zssp pubkey FILE' prints the peer's"),
    ])
    func wrongLines(line: String, expected: String) {
      #expect(problems("private-key-file = \"k\"\n\(line)\n") == [expected])
    }

    /// The parser ends a text at it: another file would be read, or the rest of the configuration
    /// not at all.
    @Test(arguments: [
      ("store = \"a\\u0000b\"", true), ("store = \"a\\U00000000b\"", true), ("store = \"a\0b\"", true), ("# \0", true),
      ("store = \"a\\\\\\u0000b\"", true), ("store = \"a\\\\u0000b\"", false), ("store = \"u0000\"", false),
      ("store = \"\\u0001\"", false),
    ])
    func aNULIsRefused(line: String, isRefused: Bool) {
      let found = problems("private-key-file = \"k\"\n\(line)\n")
      #expect(found.contains { $0.hasPrefix("t.toml:2: there is a NUL character") } == isRefused, "\(found)")
      #expect(found.isEmpty != isRefused, "\(found)")
    }

    /// Forms that operators write, and their values.
    @Test func whatOperatorsWrite() throws {
      let start = "private-key-file = \"k\"\n"
      let peer = "[[peer]]\npublic-key = \"\(key)\"\n"
      // 0 is off, as with WireGuard, and the same prefix twice is one.
      let off = try read(start + peer + "keepalive = 0\nallowed-ips = [\"10.0.0.0/8\", \"10.0.0.0/8\"]\n")
      #expect(off.peers[0].keepalive == nil && off.peers[0].allowedIPs.count == 1)
      // A key of the whole file below a peer is told where it belongs.
      #expect(
        problems(start + peer + "store = \"s\"\nuser = \"nobody\"") == [
          "t.toml:4: \"store\" belongs above the first [[peer]]", "t.toml:5: \"user\" belongs above the first [[peer]]",
        ])
      #expect(
        problems(start + "[hooks]\nmtu = 1400") == ["t.toml:3: \"mtu\" belongs above the first [hooks]"])
      // Several places, names with underscores, and each place once.
      let several = try read(
        start + peer
          + "endpoints = [\"my_host.example.org:1\", \"192.0.2.1:2\", \"[2001:db8::1]:3\", \"192.0.2.1:2\"]\n")
      #expect(
        several.peers[0].endpoints.map(\.description) == ["my_host.example.org:1", "192.0.2.1:2", "[2001:db8::1]:3"])
      #expect(problems(start + peer + "endpoint = \"a:1\"\nendpoints = [\"b:1\"]").count == 1)
      // Without a wish nobody on the path sees the classes of packets.
      #expect(try read(start).dscp == .fixed(0))
      // What is left out of listen is both families.
      #expect(
        try read(start).listen == .any(port: 0) && read(start + "listen = \":20763\"").listen == .any(port: 20_763))
      #expect(ListenAddress.any(port: 7).candidates.map(\.text) == ["[::]:7", "0.0.0.0:7"])
    }

    /// Addresses with zeros in front, which a resolver would read as octal, and other texts that
    /// are no endpoints.
    @Test(arguments: [
      "010.0.0.1:1", "10.0.0.01:1", "1.2.3:1", "0x7f.1:1", "256.1.1.1:1", "1:1", "a b:1", "-a:1", "a..b:1",
      "[192.0.2.1]:1",
      "2001:db8::1:1", "a:", "a:+1", "a:65536", "a:0", ":1", "a",
    ])
    func textsThatAreNoEndpoints(text: String) {
      let start = "private-key-file = \"k\"\n[[peer]]\npublic-key = \"\(key)\"\n"
      let found = problems(start + "endpoint = \"\(text)\"")
      #expect(found.count == 1 && found[0].hasPrefix("t.toml:4: endpoint: "), "\(found)")
      #expect(IPPrefix("10.0.0.0/08") == nil)
    }

    /// Paths are relative to the folder of the file, unless it came through a pipe.
    @Test(arguments: [
      ("/etc/zssp/a.toml", "/etc/zssp/otp"), ("conf/a.toml", "conf/otp"), ("a.toml", "otp"), ("/a.toml", "/otp"),
      ("/dev/stdin", "otp"), ("/proc/self/fd/3", "otp"),
    ])
    func pathsAreRelativeToTheFile(file: String, expected: String) throws {
      let text = "[[peer]]\npublic-key = \"\(key)\"\none-time-password-file = "
      #expect(try TunnelConfiguration(toml: text + "\"otp\"", file: file).peers[0].oneTimePasswordFile == expected)
      #expect(try TunnelConfiguration(toml: text + "\"/otp\"", file: file).peers[0].oneTimePasswordFile == "/otp")
    }

    /// Tables, marks and name servers.
    @Test func routing() throws {
      let configuration = try read(
        "table = 7\nfwmark = 8\nbind-device = \"eth0\"\ndns = [\"10.0.0.53\"]\nsearch = [\"example.org\"]")
      #expect(configuration.table == .number(7) && configuration.mark == 8 && configuration.bindDevice == "eth0")
      #expect(configuration.dns.map(\.description) == ["10.0.0.53"] && configuration.search == ["example.org"])
      #expect(try read("table = \"main\"").table == .main && read("routes = true").table == .auto)
      for (line, reason) in [
        ("table = \"mine\"", "table: \"mine\" is not auto, main, off or the number of a table"),
        ("table = 0", "table: \"0\" is not"), ("fwmark = 0", "fwmark: must be a whole number"),
        ("dns = [\"ns.example.org\"]", "dns: \"ns.example.org\" is no IP address"),
        ("search = [\"a b\"]", "search: \"a b\" is no name"), ("bind-device = \"a/b\"", "bind-device: "),
      ] {
        let found = problems(line)
        #expect(found.count == 1 && found[0].hasPrefix("t.toml:1: \(reason)"), "\(found)")
      }
    }

    @Test func wrongPeers() {
      let peer = "[[peer]]\npublic-key = \"\(key)\"\n"
      let start = "private-key-file = \"k\"\n"
      #expect(
        problems(start + peer + "allowed-ips = [\"10.0.0.1/24\"]") == [
          "t.toml:4: allowed-ips: \"10.0.0.1/24\" names an address in a network; did you mean \"10.0.0.0/24\"?"
        ])
      #expect(problems(start + peer + "endpoint = \"nowhere\"").count == 1)
      #expect(
        problems(start + peer + "end-point = \"a:1\"") == [
          "t.toml:4: unknown key \"end-point\"; did you mean \"endpoint\"?"
        ])
      #expect(problems(start + peer + peer) == ["t.toml:4: peer: peer 2 has the public-key of another peer"])
      let other = "[[peer]]\npublic-key = \"\(StaticKey().publicKey.text)\"\n"
      let allowed = "allowed-ips = [\"10.0.0.0/8\"]\n"
      #expect(
        problems(start + peer + allowed + other + allowed) == [
          "t.toml:5: peer: 10.0.0.0/8 is in the allowed-ips of both peer 1 and peer 2"
        ])
    }

    /// Values that were accepted once, and could not work.
    @Test func whatCannotWork() {
      let start = "private-key-file = \"k\"\n"
      #expect(problems(start + "peer = [\"x\"]") == ["t.toml:2: peer: must be tables, each with [[peer]] above it"])
      #expect(
        problems(start + "mtu = 1000\naddresses = [\"fd00::1/64\"]") == [
          "t.toml:2: mtu: must be at least 1280 for the IPv6 addresses in the tunnel"
        ])
      let peer = "[[peer]]\npublic-key = \"\(key)\"\n"
      #expect(problems(start + peer + "endpoint = \"192.0.2.1:0\"").count == 1)
      #expect(problems("private-key-file = \"k\"\r\nmtu = 1\r\n").first?.hasPrefix("t.toml:2:") == true)
    }

    /// Endpoints that the socket could not send to, and those that it can.
    @Test(
      arguments: [
        ("0.0.0.0:4500", "[2001:db8::1]:1", "IPv6"), ("192.0.2.7:4500", "[::1]:1", "IPv6"),
        ("[2001:db8::7]:4500", "192.0.2.1:1", "IPv4"), ("0.0.0.0:4500", "192.0.2.1:1", nil),
        ("[::]:4500", "192.0.2.1:1", nil), ("[::]:4500", "[2001:db8::1]:1", nil),
        ("0.0.0.0:4500", "[::ffff:192.0.2.1]:1", nil), (":4500", "192.0.2.1:1", nil), (":4500", "[::1]:1", nil),
        ("[2001:db8::7]:4500", "[2001:db8::1]:1", nil), ("0.0.0.0:4500", "vpn.example.org:1", nil),
      ] as [(String, String, String?)])
    func endpointsOfTheOtherKind(listen: String, endpoint: String, kind: String?) {
      let text =
        "private-key-file = \"k\"\nlisten = \"\(listen)\"\n[[peer]]\npublic-key = \"\(key)\"\nendpoint = \"\(endpoint)\"\n"
      let expected = kind.map {
        "t.toml:5: endpoint: \(endpoint) is of \($0), which cannot be reached with listen = \"\(listen)\"; \":4500\" is for both kinds"
      }
      #expect(problems(text) == (expected.map { [$0] } ?? []))
    }

    /// A packet of the device must be a message.
    @Test func packetsThatAreNoMessages() {
      let start = "private-key-file = \"k\"\n"
      #expect(problems(start + "datagram = 576\nmtu = 26864\n") == [])
      #expect(
        problems(start + "datagram = 576\nmtu = 26865\n") == [
          "t.toml:3: mtu: must be at most 26864, the longest message in datagrams of 576 bytes"
        ])
      var configuration = TunnelConfiguration()
      configuration.mtu = 65_000
      #expect(throws: Never.self) { try NetworkPlan(configuration, pathMTU: 1500).check() }
      #expect(throws: TunnelError.self) { try NetworkPlan(configuration, pathMTU: 1280).check() }
    }

    /// All of it is said at once, in the order of the file.
    @Test func allProblems() {
      #expect(problems("mtu = 1\nroutes = 7\n").count == 2)
      #expect(problems("x = \n").first?.hasPrefix("t.toml:1:") == true)
    }

    @Test(arguments: [("mtu", "mtu", 0), ("mut", "mtu", 2), ("", "abc", 3), ("kitten", "sitting", 3)])
    func distances(left: String, right: String, expected: Int) {
      #expect(Suggestion.distance(from: left, to: right) == expected)
      #expect(Suggestion.distance(from: right, to: left) == expected)
    }
  }
#endif

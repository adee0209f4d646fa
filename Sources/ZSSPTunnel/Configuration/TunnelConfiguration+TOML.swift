// SPDX-License-Identifier: Apache-2.0

#if Tunnel
  import TOMLKit
  import ZSSP
  import ZSSPNIO
  import ZSSPOpenMetrics
  import ZSSPSwiftCrypto
  import NIOCore

  extension TunnelConfiguration {
    /// Keys for the program that runs the tunnel: its key, its store, its cryptography, its log.
    private static let programKeys = [
      "private-key-file", "store", "store-key-file", "crypto", "log-level", "log-format",
    ]

    /// Parses the text of a configuration file.
    ///
    /// The program's keys `private-key-file`, `store`, `store-key-file`, `crypto`, `log-level` and
    /// `log-format` are accepted and ignored.
    ///
    /// - Parameters:
    ///   - toml: The text.
    ///   - file: The path, for errors, and for relative paths in the file.
    /// - Throws: ``TunnelConfigurationError`` with all mistakes. It contains no secret.
    public init(toml: String, file: String) throws(TunnelConfigurationError) {
      self = try Self.read(toml: toml, file: file) { reader in
        for key in Self.programKeys { _ = reader.string(key) }
      }.configuration
    }

    /// Parses the text of a configuration file, including the program's keys.
    ///
    /// - Parameters:
    ///   - toml: The text.
    ///   - file: The path, for errors, and for relative paths in the file.
    ///   - program: Reads the program's keys in the top-level table.
    /// - Returns: The configuration, the result of `program`, and for each peer the line of its
    ///   key; nil where unknown.
    /// - Throws: ``TunnelConfigurationError`` with all mistakes. It contains no secret.
    package static func read<Program>(
      toml: String, file: String, _ program: (inout TableReader) -> Program
    ) throws(TunnelConfigurationError) -> (
      configuration: TunnelConfiguration, program: Program, keyLines: [Int?]
    ) {
      var configuration = TunnelConfiguration()
      let result = try configuration.read(toml, file: file, program: program)
      // Without mistakes all tables of peers became peers.
      let lines = KeyLines(toml)
      return (configuration, result, configuration.peers.indices.map { lines["peer[\($0)].public-key"] })
    }

    /// Returns the folder of relative paths in a file; empty for a pipe.
    static func folder(of file: String) -> String {
      guard !file.hasPrefix("/dev/"), !file.hasPrefix("/proc/"), let slash = file.lastIndex(of: "/") else { return "" }
      return slash == file.startIndex ? "/" : String(file[..<slash])
    }

    private mutating func read<Program>(
      _ toml: String, file: String, program: (inout TableReader) -> Program
    ) throws(TunnelConfigurationError) -> Program {
      let nuls = KeyLines.nuls(in: toml)
      guard nuls.isEmpty else {
        // The parser would end the value there, so that it would name another file or command.
        let message = "there is a NUL character, which no value can have; remove it"
        throw TunnelConfigurationError(file: file, problems: nuls.map { .init(line: $0, message: message) })
      }
      let table: TOMLTable
      do {
        table = try TOMLTable(string: toml)
      } catch {
        let parsing = error as? TOMLParseError
        throw TunnelConfigurationError(
          file: file,
          problems: [.init(line: parsing?.source.begin.line, message: parsing?.description ?? "cannot be read as TOML")]
        )
      }
      let problems = ProblemList(KeyLines(toml))
      var reader = TableReader(table, prefix: "", folder: Self.folder(of: file), problems: problems)
      readDevice(&reader)
      readSecurity(&reader)
      let result = program(&reader)
      if var hooks = reader.table("hooks") { self.hooks = Hooks(&hooks, above: reader.known) }
      for var peer in reader.tables("peer") {
        if let peer = PeerConfiguration(&peer, flags: flags, above: reader.known) { peers.append(peer) }
      }
      reader.finish()
      checkTogether(reader)
      guard problems.problems.isEmpty else {
        let ordered = problems.problems.sorted { $0.line ?? .max < $1.line ?? .max }
        throw TunnelConfigurationError(file: file, problems: ordered)
      }
      return result
    }

    private mutating func readDevice(_ reader: inout TableReader) {
      if let name = reader.string("interface") {
        interface = name
        if !Self.isInterfaceName(name) {
          reader.fail(
            "interface",
            "\"\(name)\" is not 1 to 15 letters, digits, - or _, without - in front, and not all, default or lo")
        }
      }
      addresses = reader.prefixes("addresses", isExact: false)
      mtu = reader.integer("mtu", in: 576...65_000)
      datagram = reader.integer("datagram", in: 576...65_507)
      discoversPathMTU = reader.choice("path-mtu", of: [("discover", true), ("fragment", false)]) ?? discoversPathMTU
      if let text = reader.text("dscp") {
        switch (text, UInt8(text)) {
        case ("copy", _): dscp = .copy
        case (_, let value?) where value < 64: dscp = .fixed(value)
        default: reader.fail("dscp", "\"\(text)\" is not copy, and no number from 0 to 63")
        }
      }
      if let text = reader.string("listen") {
        do throws(EndpointTextError) { listen = try ListenAddress(text) } catch { reader.fail("listen", error) }
      }
      readRouting(&reader)
      offload = reader.bool("offload") ?? offload
      queueLength = reader.integer("queue-length", in: 1...10_000) ?? queueLength
      busyPoll = reader.integer("busy-poll", in: 1...1000).map { .milliseconds($0) }
      user = reader.string("user")
      statusGroup = reader.string("status-group")
      if let text = reader.string("metrics") {
        do throws(MetricsAddressError) { metrics = try MetricsAddress(text) } catch {
          reader.fail("metrics", "\(error)")
        }
      }
    }

    /// Returns true if the system accepts the name of a device, and the name can be neither a path
    /// nor an option of a program, and has no other meaning for the system.
    public static func isInterfaceName(_ name: String) -> Bool {
      (1...15).contains(name.utf8.count) && !name.hasPrefix("-") && !["all", "default", "lo"].contains(name)
        && name.utf8.allSatisfy {
          UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || $0 == 0x2D || $0 == 0x5F
            || ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A
        }
    }

    private mutating func readRouting(_ reader: inout TableReader) {
      let routes = reader.bool("routes")
      if let text = reader.text("table") {
        if let table = RoutingTable(text) {
          self.table = table
        } else {
          reader.fail(
            "table", "\"\(text)\" is not auto, main, off or the number of a table, without 254 (main) and 255 (local)")
        }
        if routes == false { reader.fail("routes", "goes without table; table = \"off\" makes no routes") }
      } else if routes == false {
        table = .off
      }
      mark = reader.integer("fwmark", in: 1...Int(UInt32.max)).map { UInt32($0) }
      if let device = reader.string("bind-device") {
        bindDevice = device
        if !(1...15).contains(device.utf8.count) || device.contains("/") {
          reader.fail("bind-device", "\"\(device)\" is no name of a network device")
        }
      }
      for text in reader.strings("dns") ?? [] {
        if let address = IPAddress(text) {
          dns.append(address)
        } else {
          reader.fail("dns", "\"\(text)\" is no IP address")
        }
      }
      search = reader.strings("search") ?? []
      for name in search where !HostAndPort.isName(name) { reader.fail("search", "\"\(name)\" is no name of a domain") }
    }

    private mutating func readSecurity(_ reader: inout TableReader) {
      let modes = [("opportunistic", SecurityFlags.opportunistic), ("persistent", .persistent)]
      flags = reader.choice("mode", of: modes) ?? flags
      profile = reader.choice("profile", of: Profile.allCases.map { ($0.rawValue, $0) }) ?? profile
      let policies = [("off", HelloPolicy.allow), ("auto", .automatic()), ("always", .challenge)]
      challenge = reader.choice("challenge", of: policies) ?? challenge
      if let count = reader.integer("shards", in: 1...Shard.largestCount) {
        shards = count
        if !Shard(0, of: count).isValid { reader.fail("shards", "must be 1, 2, 4, … \(Shard.largestCount)") }
      }
      rekeyAfter = reader.duration("rekey-after")
    }

    /// Checks values that are wrong only in combination.
    private func checkTogether(_ reader: TableReader) {
      if challenge == .challenge, flags.contains(.helloRequiresRatchet) {
        reader.fail("challenge", "\"always\" breaks the silence of mode \"persistent\": use \"auto\" or \"off\"")
      }
      if let mtu, mtu < NetworkPlan.smallestV6MTU, carriesV6 {
        reader.fail("mtu", "must be at least \(NetworkPlan.smallestV6MTU) for the IPv6 addresses in the tunnel")
      }
      if let mtu, let datagram, mtu > FragmentPlan.largestMessage(mtu: datagram) {
        let longest = FragmentPlan.largestMessage(mtu: datagram)
        reader.fail("mtu", "must be at most \(longest), the longest message in datagrams of \(datagram) bytes")
      }
      checkEndpoints(reader)
      var owners: [IPPrefix: Int] = [:]
      var keys: Set<PublicKey> = []
      for (index, peer) in peers.enumerated() {
        let name = peer.name ?? "peer \(index + 1)"
        if !keys.insert(peer.publicKey).inserted {
          reader.fail("peer", at: index, message: "\(name) has the public-key of another peer")
        }
        for prefix in peer.allowedIPs {
          if let other = owners.updateValue(index, forKey: prefix) {
            reader.fail(
              "peer", at: index,
              message: "\(prefix) is in the allowed-ips of both \(peers[other].name ?? "peer \(other + 1)") and \(name)"
            )
          }
        }
      }
    }
  }

  extension TunnelConfiguration {
    /// Checks that the socket can send to the peers' endpoints. Names are checked when they are
    /// resolved.
    private func checkEndpoints(_ reader: TableReader) {
      for (index, peer) in peers.enumerated() {
        // Names are checked when they are resolved.
        for address in peer.endpoints.compactMap(\.address) where !listen.reaches(address) {
          let kind = address.protocol == .inet6 ? "IPv6" : "IPv4"
          reader.fail(
            "peer", at: index, value: reader.hasLine("peer", at: index, inner: "endpoint") ? "endpoint" : "endpoints",
            message:
              "\(address.text) is of \(kind), which cannot be reached with listen = \"\(listen)\"; \":\(listen.port)\" is for both kinds"
          )
        }
      }
    }
  }

  extension TunnelConfiguration.Hooks {
    fileprivate init(_ reader: inout TableReader, above: [String]) {
      self.init()
      preUp = reader.strings("pre-up") ?? []
      postUp = reader.strings("post-up") ?? []
      preDown = reader.strings("pre-down") ?? []
      postDown = reader.strings("post-down") ?? []
      reader.finish(above: above)
    }
  }
#endif

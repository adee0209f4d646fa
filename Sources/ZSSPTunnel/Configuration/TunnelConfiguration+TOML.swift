// SPDX-License-Identifier: Apache-2.0

#if Tunnel
  import TOMLKit
  import ZSSP
  import ZSSPNIO
  import ZSSPSwiftCrypto
  import NIOCore

  extension TunnelConfiguration {
    /// Reads a configuration file's text.
    ///
    /// - Parameters:
    ///   - toml: the text.
    ///   - file: its name, for errors.
    /// - Throws: ``TunnelConfigurationError`` with everything that is wrong. No secret is in it.
    public init(toml: String, file: String) throws(TunnelConfigurationError) {
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
      var reader = TableReader(table, prefix: "", problems)
      self.init()
      readDevice(&reader)
      readSecurity(&reader)
      if var hooks = reader.table("hooks") { self.hooks = Hooks(&hooks) }
      for var peer in reader.tables("peer") {
        if let peer = PeerConfiguration(&peer, flags) { peers.append(peer) }
      }
      reader.finish()
      checkTogether(reader)
      guard problems.problems.isEmpty else {
        let ordered = problems.problems.sorted { $0.line ?? .max < $1.line ?? .max }
        throw TunnelConfigurationError(file: file, problems: ordered)
      }
    }

    private mutating func readDevice(_ reader: inout TableReader) {
      if let name = reader.string("interface") {
        interface = name
        if !Self.isInterfaceName(name) {
          reader.fail("interface", "\"\(name)\" is not 1 to 15 letters, digits, - or _")
        }
      }
      addresses = reader.prefixes("addresses", isExact: false)
      mtu = reader.integer("mtu", in: 576...65_000)
      datagram = reader.integer("datagram", in: 576...65_507)
      if let text = reader.string("listen") {
        listen = text
        do { _ = try SocketAddress(hostAndPort: text) } catch { reader.fail("listen", "\(error)") }
      }
      routes = reader.bool("routes") ?? routes
      offload = reader.bool("offload") ?? offload
      queueLength = reader.integer("queue-length", in: 1...10_000) ?? queueLength
      busyPoll = reader.integer("busy-poll", in: 1...1000)
      user = reader.string("user")
    }

    /// What the system takes as the name of a device, and what is no path.
    public static func isInterfaceName(_ name: String) -> Bool {
      (1...15).contains(name.utf8.count)
        && name.utf8.allSatisfy {
          UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || $0 == 0x2D || $0 == 0x5F
            || ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A
        }
    }

    private mutating func readSecurity(_ reader: inout TableReader) {
      privateKeyFile = reader.string("private-key-file") ?? ""
      if privateKeyFile.isEmpty { reader.fail("private-key-file", "is missing; 'zssp keygen FILE' makes a key") }
      store = reader.string("store")
      storeKeyFile = reader.string("store-key-file")
      let modes = [("opportunistic", SecurityFlags.opportunistic), ("persistent", .persistent)]
      flags = reader.choice("mode", modes) ?? flags
      profile = reader.choice("profile", Profile.allCases.map { ($0.rawValue, $0) }) ?? profile
      let policies = [("off", HelloPolicy.allow), ("auto", .automatic()), ("always", .challenge)]
      challenge = reader.choice("challenge", policies) ?? challenge
      crypto = reader.string("crypto")
      if let count = reader.integer("shards", in: 1...Shard.largestCount) {
        shards = count
        if !Shard(0, of: count).isValid { reader.fail("shards", "must be 1, 2, 4, … \(Shard.largestCount)") }
      }
      rekeyAfter = reader.duration("rekey-after")
    }

    /// What no value is wrong by itself for.
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
          reader.fail("peer", at: index, "\(name) has the public-key of another peer")
        }
        for prefix in peer.allowedIPs {
          if let other = owners.updateValue(index, forKey: prefix) {
            reader.fail(
              "peer", at: index,
              "\(prefix) is in the allowed-ips of both \(peers[other].name ?? "peer \(other + 1)") and \(name)")
          }
        }
      }
    }
  }

  extension TunnelConfiguration {
    /// Endpoints must be of a kind that the socket can send to. Those that are names are looked at when they are looked up.
    private func checkEndpoints(_ reader: TableReader) {
      // What is wrong by itself was said.
      guard let local = try? SocketAddress(hostAndPort: listen) else { return }
      for (index, peer) in peers.enumerated() {
        // Or it is a name.
        guard let endpoint = peer.endpoint, let address = try? SocketAddress(hostAndPort: endpoint) else { continue }
        guard !local.reaches(address) else { continue }
        let kind = address.protocol == .inet6 ? "IPv6" : "IPv4"
        reader.fail(
          "peer", at: index, value: "endpoint",
          "\(endpoint) is of \(kind), which cannot be reached with listen = \"\(listen)\"; \"[::]:\(local.port ?? 0)\" is for both kinds"
        )
      }
    }
  }

  extension TunnelConfiguration.Hooks {
    fileprivate init(_ reader: inout TableReader) {
      self.init()
      preUp = reader.strings("pre-up") ?? []
      postUp = reader.strings("post-up") ?? []
      preDown = reader.strings("pre-down") ?? []
      postDown = reader.strings("post-down") ?? []
      reader.finish()
    }
  }

  extension PeerConfiguration {
    /// The longest identity in bytes (section 6).
    private static let identityLimit = 4096

    fileprivate init?(_ reader: inout TableReader, _ flags: SecurityFlags) {
      let name = reader.string("name")
      let key = Self.key(&reader)
      let endpoint = reader.string("endpoint")
      if let endpoint, !Self.isEndpoint(endpoint) {
        reader.fail(
          "endpoint", "\"\(endpoint)\" is not like vpn.example.org:4500, 192.0.2.1:4500 or [2001:db8::1]:4500")
      }
      let allowedIPs = reader.prefixes("allowed-ips", isExact: true)
      let identity = reader.string("identity") ?? ""
      if identity.utf8.count > Self.identityLimit {
        reader.fail("identity", "is longer than \(Self.identityLimit) bytes")
      }
      let keepalive = reader.integer("keepalive", in: 1...65_535)
      let mtu = reader.integer("mtu", in: 576...65_000)
      let password = reader.string("one-time-password-file")
      let own = Self.flags(&reader, flags)
      reader.finish()
      guard let key else { return nil }
      self.init(publicKey: key)
      (self.name, self.endpoint, self.allowedIPs, self.identity) = (name, endpoint, allowedIPs, identity)
      (self.keepalive, self.mtu, self.flags, oneTimePasswordFile) = (keepalive, mtu, own, password)
    }

    private static func key(_ reader: inout TableReader) -> PublicKey? {
      guard let text = reader.string("public-key") else {
        reader.failAll("public-key is missing; 'zssp pubkey FILE' prints the peer's")
        return nil
      }
      do { return try PublicKey(text: text) } catch { reader.fail("public-key", "\(error)") }
      return nil
    }

    private static func flags(_ reader: inout TableReader, _ flags: SecurityFlags) -> SecurityFlags? {
      var own = flags
      var isOwn = false
      let switches: [(String, SecurityFlags)] = [
        ("pi2", .initiatorDisallowsDowngrade), ("pi3", .responderDisallowsDowngrade),
        ("pi4", .responderRejectsSilently),
      ]
      for (key, flag) in switches {
        guard let isOn = reader.bool(key) else { continue }
        isOwn = true
        if isOn { own.insert(flag) } else { own.remove(flag) }
      }
      return isOwn ? own : nil
    }

    /// Whether a text names a host and a port. Whether there is such a host is found out when it is needed.
    public static func isEndpoint(_ text: String) -> Bool {
      // What is no address may be a name.
      if let address = try? SocketAddress(hostAndPort: text) { return address.port != 0 }
      let parts = text.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, let port = UInt16(parts[1]), port != 0, !parts[0].isEmpty else { return false }
      return parts[0].allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == ".") }
    }
  }
#endif

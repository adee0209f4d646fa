// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ArgumentParser
  import Foundation
  import ZSSP
  import ZSSPSwiftCrypto
  import ZSSPTunnel

  struct TunnelCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "check", abstract: "Check a configuration file, and explain it.",
      discussion: """
        With --probe, each peer with an endpoint gets a Hello from another port, as by 'zssp ping --no-session'. Nothing is \
        stored on either side, and a running tunnel is not disturbed. Exit codes: 0 all answered, 1 one did not, 2 the file \
        is wrong.
        """)

    @Argument(help: "Check this configuration file.")
    var file: String

    @Flag(help: "Probe the peers that have an endpoint. Default: only read the file.")
    var probe = false

    @Option(
      parsing: .unconditional,
      help: ArgumentHelp("Wait for each step of a probe for this many seconds, 0.1 to 1000000.", valueName: "seconds"))
    var timeout = 4.0

    @Flag(help: "Print the steps of probes as JSON, one object per line. Default: off.")
    var json = false

    func validate() throws {
      try OptionRange.check(timeout, of: "--timeout", in: 0.1...1e6, unit: "seconds")
      guard probe || !json else { throw ValidationError("--json needs --probe") }
    }

    func run() async throws {
      let file = try TunnelFile.read(file)
      // The key and the passwords are also read, because they are most often missing.
      let endpoint = try file.endpoint()
      if let file = file.program.storeKeyFile { _ = try StoreKeyOption.read(file: file) }
      for password in file.tunnel.peers.compactMap(\.oneTimePasswordFile) { _ = try OneTimePassword.read(password) }
      if !json { Terminal.output(TunnelExplanation.text(of: file, key: endpoint.staticKey.publicKey)) }
      guard probe else { return }
      let probes = TunnelProbes(file: file, endpoint: endpoint, patience: .seconds(timeout), json: json)
      let finished: Void? = try await Interruption.cancelling(after: nil) { try await probes.run() }
      guard finished != nil else { throw CommandFailure.failed("interrupted") }
    }
  }

  /// Explains a configuration in words.
  enum TunnelExplanation {
    static func text(of file: TunnelFile, key: PublicKey) -> String {
      let configuration = file.tunnel
      var lines = [
        "The device \(configuration.interface) gets \(list(configuration.addresses)), with an MTU "
          + (configuration.mtu.map { "of \($0) bytes." } ?? "that fits the path to the peers."),
        "It listens on \(listen(configuration.listen)). Its public key is \(key.text).",
        "Ratchets are kept in "
          + (file.program.store == .memory ? "memory, and are lost on exit." : "\(file.program.store)."),
        configuration.flags.contains(.initiatorDisallowsDowngrade)
          ? "A peer that has lost its ratchet is refused (persistent)."
          : "A peer that has lost its ratchet is reported, and accepted (opportunistic).",
      ]
      if configuration.peers.isEmpty { lines.append("There are no peers yet: 'zssp tunnel peer add' adds some.") }
      for (index, peer) in configuration.peers.enumerated() {
        lines += self.lines(of: peer, at: index, in: configuration)
      }
      if let busyPoll = configuration.busyPoll {
        lines.append("For \(busyPoll) after traffic it polls and does not sleep, which takes processor time.")
      }
      if !configuration.discoversPathMTU { lines.append("Its datagrams may be fragmented.") }
      switch configuration.dscp {
      case .copy: lines.append("Its datagrams have the DSCP of the packets in them.")
      case .fixed(0): break
      case .fixed(let value): lines.append("Its datagrams have the DSCP \(value).")
      }
      lines += routing(configuration)
      if let metrics = configuration.metrics {
        lines.append("Metrics are served on \(metrics).")
        if let warning = metrics.warning { lines.append("  WARNING: \(warning).") }
      }
      if let user = configuration.user { lines.append("When all is set up the process becomes \(user).") }
      return lines.joined(separator: "\n")
    }

    private static func routing(_ configuration: TunnelConfiguration) -> [String] {
      var lines: [String] = []
      switch configuration.table {
      case .auto: break
      case .main: lines.append("All routes go to the main table, default routes as two halves.")
      case .off: lines.append("No routes are made.")
      case .number(let table): lines.append("Routes go to table \(table), and nothing leads there but your own rules.")
      }
      if let mark = configuration.mark { lines.append("Its datagrams have the mark \(mark).") }
      if let device = configuration.bindDevice { lines.append("Its datagrams go by \(device) only.") }
      if !configuration.dns.isEmpty || !configuration.search.isEmpty {
        let servers = configuration.dns.map(\.description).joined(separator: ", ")
        let domains = configuration.search.joined(separator: ", ")
        lines.append(
          "While it is up, \(domains.isEmpty ? "names" : "names in \(domains)") are looked up with "
            + "\(servers.isEmpty ? "the system's servers" : servers).")
      }
      return lines
    }

    private static func lines(
      of peer: PeerConfiguration, at index: Int, in configuration: TunnelConfiguration
    ) -> [String] {
      let places = peer.endpoints.map(\.description).joined(separator: ", or ")
      let place = places.isEmpty ? "opens sessions itself, because it has no endpoint here" : "is at \(places)"
      var lines = ["\(peer.name ?? "Peer \(index + 1)") \(place). Behind it are \(list(peer.allowedIPs))."]
      if peer.allowedIPs.isEmpty { lines.append("  Without allowed-ips no packet goes to it, and none comes from it.") }
      if let keepalive = peer.keepalive { lines.append("  After \(keepalive) of silence it is sent something.") }
      if let mtu = peer.mtu { lines.append("  Its packets have at most \(mtu) bytes.") }
      if !peer.identity.isEmpty {
        lines.append("  It is told the identity \"\(Terminal.printable(peer.identity.utf8))\".")
      }
      if let flags = peer.flags { lines += switches(of: flags, comparedTo: configuration.flags) }
      if peer.oneTimePasswordFile != nil {
        lines.append(
          (peer.flags ?? configuration.flags).contains(.responderDisallowsDowngrade)
            ? "  The first contact needs the one-time password."
            : "  The first contact needs the one-time password if this side opens it; if the peer does, a contact without "
              + "it only causes a warning.")
      }
      return lines
    }

    /// Returns the flags of a peer that differ from those of the file.
    private static func switches(of own: SecurityFlags, comparedTo usual: SecurityFlags) -> [String] {
      let all: [(name: String, flag: SecurityFlags, on: String, off: String)] = [
        (
          "pi2", .initiatorDisallowsDowngrade, "no session is opened with it without its ratchet",
          "a session is opened with it also without its ratchet"
        ),
        (
          "pi3", .responderDisallowsDowngrade, "no session of its own is accepted without its ratchet",
          "a session of its own is accepted also without its ratchet"
        ),
        ("pi4", .responderRejectsSilently, "it is refused in silence", "it is told when it is refused"),
      ]
      return all.filter { own.contains($0.flag) != usual.contains($0.flag) }.map { entry in
        let isOn = own.contains(entry.flag)
        return "  \(entry.name) = \(isOn), unlike for others: \(isOn ? entry.on : entry.off)."
      }
    }

    private static func listen(_ address: ListenAddress) -> String {
      guard case .any(let port) = address else { return "\(address)" }
      return "all IPv4 and IPv6 addresses, \(port == 0 ? "any port" : "port \(port)")"
    }

    private static func list(_ prefixes: [IPPrefix]) -> String {
      prefixes.isEmpty ? "no addresses" : prefixes.map(\.description).joined(separator: ", ")
    }
  }
#endif

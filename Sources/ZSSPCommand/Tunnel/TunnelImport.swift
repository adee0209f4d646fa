// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ArgumentParser
  import Foundation
  import ZSSPSwiftCrypto
  import ZSSPTunnel

  struct TunnelImport: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "import",
      abstract: "Convert a configuration of WireGuard: zssp tunnel import wg0.conf.",
      discussion: """
        Writes NAME.toml and a key for this host, NAME.pem, and for each peer a key, NAME-peerN.pem, which is for that host alone: \
        take it there over a secure channel. WireGuard's keys are on another curve and cannot be kept.
        """)

    @Argument(help: "Read this file of wg-quick.")
    var file: String

    @Option(help: "Name the device and the files. Default: the name of the file.")
    var name: String?

    @Option(help: ArgumentHelp("Write to this folder.", valueName: "folder"))
    var folder = "."

    @Flag(help: "Replace files that exist. Default: refuse.")
    var force = false

    func run() throws {
      let base = file.split(separator: "/").last.map { $0.hasSuffix(".conf") ? $0.dropLast(5) : $0 } ?? ""
      let name = name ?? String(base)
      guard TunnelConfiguration.isInterfaceName(name) else {
        throw CommandFailure.usage(
          "\(name): is no name of a device (1 to 15 letters, digits, - or _); give one with --name")
      }
      guard !folder.isEmpty else { throw CommandFailure.usage("--folder: is empty; . is where the command runs") }
      let source: WireGuardFile
      do throws(WireGuardFile.Mistake) { source = try WireGuardFile(try text()) } catch {
        throw CommandFailure.usage("\(file):\(error.line): \(error.reason)")
      }
      let own = StaticKey()
      let keys = source.peers.map { _ in StaticKey() }
      let toml = WireGuardImport.text(source, name: name, peerKeys: keys.map(\.publicKey.text))
      var files = [(text: own.pem, path: "\(folder)/\(name).pem"), (text: toml.text, path: "\(folder)/\(name).toml")]
      for (index, key) in keys.enumerated() { files.append((key.pem, "\(folder)/\(name)-peer\(index + 1).pem")) }
      try SecretFile.write(files, replaces: force)
      for note in source.notes + toml.notes { Terminal.note("note: \(note)") }
      for file in files { Terminal.output(file.path) }
    }

    private func text() throws(WireGuardFile.Mistake) -> String {
      do throws(CommandFailure) { return try SecretFile.read(file, kind: .wireGuard) } catch {
        // This error has no line.
        Terminal.error(error.description)
        Terminal.exit(error.exitCode)
      }
    }
  }

  /// Converts WireGuard's configuration.
  enum WireGuardImport {
    /// Converts the configuration.
    ///
    /// - Returns: The text, and notes about what differs.
    static func text(_ source: WireGuardFile, name: String, peerKeys: [String]) -> (text: String, notes: [String]) {
      var notes: [String] = []
      var lines = [
        "# Made from WireGuard's configuration. Keys are new: those of WireGuard are on another curve.",
        "interface = \(quoted(name))",
        "private-key-file = \(quoted("\(name).pem"))",
        "addresses = \(list(source.addresses.map(\.description)))",
      ]
      if let port = source.listenPort { lines.append("listen = \":\(port)\"") }
      if let mtu = source.mtu { lines.append("mtu = \(mtu)") }
      switch source.table {
      case nil: break
      case let table? where RoutingTable(table) != nil: lines.append("table = \(quoted(table))")
      case let table?: notes.append("Table = \(table) is not kept: give the number of the table")
      }
      if let mark = source.mark {
        if let number = number(mark) {
          lines.append("fwmark = \(number)")
        } else {
          notes.append("FwMark = \(mark) is not kept: it is no number")
        }
      }
      let servers = source.dns.filter { IPAddress($0) != nil }
      let domains = source.dns.filter { IPAddress($0) == nil }
      if !servers.isEmpty { lines.append("dns = \(list(servers))") }
      if !domains.isEmpty { lines.append("search = \(list(domains))") }
      if !source.hooks.isEmpty { lines.append("\n[hooks]") }
      for name in ["pre-up", "post-up", "pre-down", "post-down"] {
        if let commands = source.hooks[name] { lines.append("\(name) = \(list(commands))") }
      }
      for (index, peer) in source.peers.enumerated() {
        lines += self.lines(of: peer, at: index, name: name, key: peerKeys[index])
      }
      return (lines.joined(separator: "\n") + "\n", notes)
    }

    /// Parses a decimal or hexadecimal number.
    private static func number(_ text: String) -> UInt32? {
      let lower = text.lowercased()
      return lower.hasPrefix("0x") ? UInt32(lower.dropFirst(2), radix: 16) : UInt32(lower)
    }

    private static func lines(
      of peer: WireGuardFile.Peer, at index: Int, name: String, key: String
    ) -> [String] {
      var lines = [
        "", "[[peer]]", "name = \"peer\(index + 1)\"",
        "# \(name)-peer\(index + 1).pem is this peer's private key. To WireGuard it was "
          + "\(Terminal.printable(peer.publicKey.utf8)).",
        "public-key = \(quoted(key))",
      ]
      if let endpoint = peer.endpoint { lines.append("endpoint = \(quoted(endpoint.description))") }
      lines.append("allowed-ips = \(list(peer.allowedIPs.map(\.description)))")
      if let keepalive = peer.keepalive { lines.append("keepalive = \(keepalive)") }
      return lines
    }

    private static func list(_ texts: [String]) -> String { "[\(texts.map(quoted).joined(separator: ", "))]" }

    /// Returns a basic string of TOML.
    static func quoted(_ text: String) -> String {
      var quoted = "\""
      for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": quoted += "\\\""
        case "\\": quoted += "\\\\"
        case "\t": quoted += "\\t"
        case let other where other.value < 0x20 || other.value == 0x7F:
          let digits = String(other.value, radix: 16)
          quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: quoted.unicodeScalars.append(scalar)
        }
      }
      return quoted + "\""
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ZSSPTunnel

  /// The configuration of a WireGuard interface, in the syntax of `wg-quick`.
  struct WireGuardFile: Sendable {
    /// A peer.
    struct Peer: Sendable {
      var publicKey = ""
      var endpoint: PeerEndpoint?
      var allowedIPs: [IPPrefix] = []
      var keepalive: Int?
    }

    /// An invalid line.
    struct Mistake: Error, Equatable, CustomStringConvertible {
      let line: Int
      let reason: String

      var description: String { "line \(line): \(reason)" }
    }

    private(set) var addresses: [IPPrefix] = []
    private(set) var listenPort: Int?
    private(set) var mtu: Int?
    private(set) var dns: [String] = []
    private(set) var table: String?
    private(set) var mark: String?
    /// The commands by our hook names, in their order.
    private(set) var hooks: [String: [String]] = [:]
    private(set) var peers: [Peer] = []
    /// Notes about settings without a counterpart.
    private(set) var notes: [String] = []

    private static let hookNames = [
      "preup": "pre-up", "postup": "post-up", "predown": "pre-down", "postdown": "post-down",
    ]

    /// Parses the text of a file.
    ///
    /// - Throws: ``Mistake`` for the first invalid line.
    init(_ text: String) throws(Mistake) {
      var section = ""
      for (index, raw) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
        let line = Self.trim(raw.prefix { $0 != "#" })
        guard !line.isEmpty else { continue }
        if line.hasPrefix("[") {
          section = line.lowercased()
          guard section == "[interface]" || section == "[peer]" else {
            throw Mistake(line: index + 1, reason: "\(line) is neither [Interface] nor [Peer]")
          }
          if section == "[peer]" { peers.append(Peer()) }
          continue
        }
        guard let equals = line.firstIndex(of: "=") else {
          throw Mistake(line: index + 1, reason: "is neither a section nor KEY = VALUE")
        }
        let key = Self.trim(line[..<equals]).lowercased()
        // A command may contain a #, which starts no comment there.
        let value = Self.hookNames[key] == nil ? Self.trim(line[line.index(after: equals)...]) : Self.command(raw)
        do throws(ValueMistake) {
          switch section {
          case "[interface]": try readInterface(key, value: value)
          case "[peer]": try readPeer(key, value: value)
          default: throw ValueMistake("stands above the first section")
          }
        } catch {
          throw Mistake(line: index + 1, reason: error.reason)
        }
      }
    }

    private struct ValueMistake: Error {
      let reason: String
      init(_ reason: String) { self.reason = reason }
    }

    private mutating func readInterface(_ key: String, value: String) throws(ValueMistake) {
      switch key {
      case "address": addresses += try Self.prefixes(value)
      case "listenport": listenPort = try Self.number(value, in: 0...65_535, key: key)
      case "mtu": mtu = try Self.number(value, in: 576...65_000, key: key)
      case "dns": dns += Self.list(value)
      case "table": table = value.lowercased()
      case "fwmark": mark = value.lowercased() == "off" ? nil : value
      case "privatekey", "saveconfig": break
      case let key where Self.hookNames[key] != nil:
        let name = Self.hookNames[key] ?? key
        hooks[name, default: []].append(value)
        if value.contains("wg ") { notes.append("\(name): \"\(value)\" calls wg, which knows nothing of this tunnel") }
      default: throw ValueMistake("unknown key \"\(key)\" of [Interface]")
      }
    }

    private mutating func readPeer(_ key: String, value: String) throws(ValueMistake) {
      let last = peers.count - 1
      switch key {
      case "publickey": peers[last].publicKey = value
      case "presharedkey":
        notes.append("the PresharedKey of peer \(peers.count) is not needed: sessions are post-quantum anyway")
      case "endpoint":
        do throws(EndpointTextError) { peers[last].endpoint = try PeerEndpoint(value) } catch {
          throw ValueMistake("Endpoint \(error)")
        }
      case "persistentkeepalive":
        peers[last].keepalive = value.lowercased() == "off" ? nil : try Self.number(value, in: 0...65_535, key: key)
      case "allowedips":
        for prefix in try Self.prefixes(value).map(\.network) where !peers[last].allowedIPs.contains(prefix) {
          // As in WireGuard, the last peer with a prefix gets it.
          for other in peers.indices.dropLast() where peers[other].allowedIPs.contains(prefix) {
            peers[other].allowedIPs.removeAll { $0 == prefix }
            notes.append("\(prefix) is peer \(peers.count)'s only, as with WireGuard; peer \(other + 1) had it too")
          }
          peers[last].allowedIPs.append(prefix)
        }
      default: throw ValueMistake("unknown key \"\(key)\" of [Peer]")
      }
    }

    private static func trim(_ text: some StringProtocol) -> String {
      String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }

    private static func command(_ line: Substring) -> String {
      trim(line.drop { $0 != "=" }.dropFirst())
    }

    private static func list(_ text: String) -> [String] {
      text.split(separator: ",").map { trim($0) }.filter { !$0.isEmpty }
    }

    private static func prefixes(_ text: String) throws(ValueMistake) -> [IPPrefix] {
      var found: [IPPrefix] = []
      for item in list(text) {
        guard let prefix = IPPrefix(item) else {
          throw ValueMistake("\"\(item)\" is not like 10.0.0.0/8 or 2001:db8::/32")
        }
        found.append(prefix)
      }
      return found
    }

    private static func number(_ text: String, in range: ClosedRange<Int>, key: String) throws(ValueMistake) -> Int {
      guard let number = Int(text), range.contains(number) else {
        throw ValueMistake("\(key): \"\(text)\" is not \(range.lowerBound) to \(range.upperBound)")
      }
      return number
    }
  }
#endif

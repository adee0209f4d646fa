// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The servers that names are looked up with while the tunnel is up, set with systemd-resolved or `resolvconf`.
struct NameServers: Equatable {
  let servers: [IPAddress]
  /// Domains that are searched.
  let search: [String]
  /// Whether all other names are looked up there, too.
  let takesAll: Bool

  /// The name servers of a configuration; nil if it has none.
  init?(_ configuration: TunnelConfiguration) {
    guard !configuration.dns.isEmpty || !configuration.search.isEmpty else { return nil }
    servers = configuration.dns
    search = configuration.search
    // Of some domains only, the others are the system's. Where everything goes through the tunnel, questions do.
    takesAll = search.isEmpty || configuration.peers.flatMap(\.allowedIPs).contains { $0.length == 0 }
  }

  /// Arguments for `resolvectl`, each a command.
  func resolvectl(device: String) -> [[String]] {
    [
      ["dns", device] + servers.map(\.description), ["domain", device] + search + (takesAll ? ["~."] : []),
      // Domains that are searched do not keep other names from going there.
      ["default-route", device, takesAll ? "yes" : "no"],
    ]
  }

  /// The input for `resolvconf`.
  var resolvconf: String {
    servers.map { "nameserver \($0)\n" }.joined() + (search.isEmpty ? "" : "search \(search.joined(separator: " "))\n")
  }

  /// What `resolvconf` calls a device.
  static func resolvconfName(_ device: String) -> String { "tun.\(device)" }

  /// Sets them. With systemd-resolved they go with the device, with `resolvconf` when what is written down is undone.
  func apply(to device: String, _ ledger: UndoLedger) throws(TunnelError) {
    let step = "cannot set the name servers"
    if let resolvectl = SystemCommand.path(of: "resolvectl"),
      FileManager.default.fileExists(atPath: "/run/systemd/resolve")
    {
      for arguments in self.resolvectl(device: device) {
        let result = try SystemCommand.run(resolvectl, arguments, step: step)
        guard result.exitCode == 0 else { throw .setUp(step: step, reason: "resolvectl: \(result.reason)") }
      }
      return
    }
    guard let resolvconf = SystemCommand.path(of: "resolvconf") else {
      throw .setUp(
        step: step, reason: "neither systemd-resolved nor resolvconf is here; install one, or leave out dns and search")
    }
    try ledger.remember(names: device)
    let arguments = ["-a", Self.resolvconfName(device)] + (takesAll ? ["-m", "0", "-x"] : ["-m", "0"])
    let result = try SystemCommand.run(resolvconf, arguments, input: self.resolvconf, step: step)
    guard result.exitCode == 0 else { throw .setUp(step: step, reason: "resolvconf: \(result.reason)") }
  }

  /// Takes back what `resolvconf` was told of a device.
  ///
  /// - Returns: what went wrong.
  static func undo(device: String) -> String? {
    guard let resolvconf = SystemCommand.path(of: "resolvconf") else { return nil }
    do throws(TunnelError) {
      let result = try SystemCommand.run(resolvconf, ["-d", resolvconfName(device), "-f"], step: "undo")
      return result.exitCode == 0 ? nil : "resolvconf: \(result.reason)"
    } catch {
      return "\(error)"
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The name servers while the tunnel is up, set with systemd-resolved or `resolvconf`.
struct NameServers: Equatable {
  let servers: [IPAddress]
  /// The search domains.
  let search: [String]
  /// True if all names are resolved there, not only those in the search domains.
  let takesAll: Bool

  /// The name servers of a configuration; nil if it has none.
  init?(_ configuration: TunnelConfiguration) {
    guard !configuration.dns.isEmpty || !configuration.search.isEmpty else { return nil }
    servers = configuration.dns
    search = configuration.search
    // With search domains, other names are left to the system's servers, unless all traffic goes
    // through the tunnel.
    takesAll = search.isEmpty || configuration.peers.flatMap(\.allowedIPs).contains { $0.length == 0 }
  }

  /// Returns the arguments of the `resolvectl` commands.
  func resolvectl(device: String) -> [[String]] {
    [
      ["dns", device] + servers.map(\.description), ["domain", device] + search + (takesAll ? ["~."] : []),
      // Domains that are searched do not keep other names from going there.
      ["default-route", device, takesAll ? "yes" : "no"],
    ]
  }

  /// The input of `resolvconf`.
  var resolvconf: String {
    servers.map { "nameserver \($0)\n" }.joined() + (search.isEmpty ? "" : "search \(search.joined(separator: " "))\n")
  }

  /// Returns the name of a device for `resolvconf`.
  static func resolvconfName(_ device: String) -> String { "tun.\(device)" }

  /// Sets the servers. With systemd-resolved the setting disappears with the device, with
  /// `resolvconf` when the record is undone.
  ///
  /// - Throws: ``TunnelError/setUp(step:reason:)``.
  func apply(to device: String, _ ledger: UndoLedger) throws(TunnelError) {
    let step = "cannot set the name servers"
    if let resolvectl = SystemCommand.path(of: "resolvectl"),
      FileManager.default.fileExists(atPath: "/run/systemd/resolve")
    {
      for arguments in self.resolvectl(device: device) {
        let result = try SystemCommand.run(resolvectl, arguments: arguments, step: step)
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
    let result = try SystemCommand.run(resolvconf, arguments: arguments, input: self.resolvconf, step: step)
    guard result.exitCode == 0 else { throw .setUp(step: step, reason: "resolvconf: \(result.reason)") }
  }

  /// Removes a device's setting from `resolvconf`.
  ///
  /// - Returns: The error; nil if none.
  static func undo(device: String) -> String? {
    guard let resolvconf = SystemCommand.path(of: "resolvconf") else { return nil }
    do throws(TunnelError) {
      let result = try SystemCommand.run(resolvconf, arguments: ["-d", resolvconfName(device), "-f"], step: "undo")
      return result.exitCode == 0 ? nil : "resolvconf: \(result.reason)"
    } catch {
      return "\(error)"
    }
  }
}

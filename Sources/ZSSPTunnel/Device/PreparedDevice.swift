// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A device that an administrator has prepared for a process that may not change the system's
/// network: its settings, and the missing ones.
struct PreparedDevice {
  let name: String
  let addresses: Set<IPPrefix>
  let mtu: Int
  let isUp: Bool

  /// Reads the settings of a device from the system.
  init(_ name: String) throws(TunnelError) {
    let step = "cannot read the device \(name)"
    let link = try Self.show(["link"], of: name, step: step)
    self.init(name, link: link, addresses: try Self.show(["address"], of: name, step: step))
    guard mtu > 0 else { throw .setUp(step: step, reason: "ip does not say its MTU") }
  }

  /// Makes a device from the output of `ip -oneline`.
  init(_ name: String, link: String, addresses text: String) {
    self.name = name
    let words = link.split(whereSeparator: \.isWhitespace)
    let flags = words.first { $0.hasPrefix("<") && $0.hasSuffix(">") }?.dropFirst().dropLast() ?? ""
    isUp = flags.split(separator: ",").contains("UP")
    mtu = words.firstIndex(of: "mtu").flatMap { words.indices.contains($0 + 1) ? Int(words[$0 + 1]) : nil } ?? 0
    var addresses: Set<IPPrefix> = []
    for line in text.split(separator: "\n") {
      let words = line.split(whereSeparator: \.isWhitespace)
      guard let kind = words.firstIndex(where: { $0 == "inet" || $0 == "inet6" }), words.indices.contains(kind + 1),
        let prefix = IPPrefix(String(words[kind + 1]))
      else { continue }
      addresses.insert(prefix)
    }
    self.addresses = addresses
  }

  private static func show(_ what: [String], of name: String, step: String) throws(TunnelError) -> String {
    let result = try SystemCommand.ip(["-oneline"] + what + ["show", "dev", name], step: step)
    guard result.exitCode == 0 else { throw .setUp(step: step, reason: result.reason) }
    return result.output
  }

  /// Refuses settings that no preparation makes possible.
  static func check(_ configuration: TunnelConfiguration, routing: RoutingPlan) throws(TunnelError) {
    let why = "needs root or CAP_NET_ADMIN, and the device \(routing.device) was prepared for a user without"
    if configuration.mark != nil { throw .refused("fwmark: \(why); leave it out") }
    let defaults = routing.routes(configuration).filter { $0.table == routing.ownTable && $0.prefix.length == 0 }
    if configuration.table == .auto, let route = defaults.first {
      throw .refused(
        "allowed-ips \(route.prefix): a default route with table = \"auto\" \(why); set table = \"off\", and have the "
          + "administrator make the routes")
    }
  }

  /// Returns the configuration with the device's MTU, unless it names one.
  func sizing(_ configuration: TunnelConfiguration) -> TunnelConfiguration {
    var sized = configuration
    sized.mtu = configuration.mtu ?? mtu
    return sized
  }

  /// Returns the commands that an administrator must still run.
  ///
  /// - Parameters:
  ///   - wantedMTU: The MTU that the configuration names; nil for that of the device.
  ///   - hasRoute: Returns true if the system has a route to the device.
  func missing(
    _ addresses: [IPPrefix], mtu wantedMTU: Int?, routes: [DeviceRoute],
    hasRoute: (DeviceRoute) throws(TunnelError) -> Bool
  ) throws(TunnelError) -> [String] {
    var commands = addresses.filter { !self.addresses.contains($0) }.map { "ip address add \($0) dev \(name)" }
    if !isUp || wantedMTU.map({ $0 != mtu }) ?? false {
      commands.append("ip link set dev \(name) mtu \(wantedMTU ?? mtu) up")
    }
    for route in routes {
      guard try !hasRoute(route) else { continue }
      commands.append("ip \(route.line("add", device: name))")
    }
    return commands
  }

  /// Returns true if the system has a route to the device.
  func hasRoute(_ route: DeviceRoute) throws(TunnelError) -> Bool {
    let family = route.prefix.address.family == .v4 ? "-4" : "-6"
    let table = route.table.map { ["table", "\($0)"] } ?? []
    let result = try SystemCommand.ip(
      [family, "route", "show", "exact", "\(route.prefix)", "dev", name] + table, step: "cannot read the routes")
    return result.exitCode == 0 && !result.output.allSatisfy(\.isWhitespace)
  }
}

extension NetworkPlan {
  /// Checks that a prepared device has everything that the configuration needs.
  ///
  /// - Returns: Warnings about settings that make the tunnel slow.
  static func check(
    _ prepared: PreparedDevice, configuration: TunnelConfiguration, addresses: [Address], routing: RoutingPlan,
    pathMTU: Int
  ) throws(TunnelError) -> [String] {
    let fitting = NetworkPlan(configuration, pathMTU: pathMTU).mtu
    // A device that must be changed in any case gets the size that fits.
    let mtu = configuration.mtu ?? (prepared.isUp ? nil : min(prepared.mtu, fitting))
    var missing = try prepared.missing(
      configuration.addresses, mtu: mtu, routes: routing.routes(configuration)
    ) { route throws(TunnelError) in try prepared.hasRoute(route) }
    for address in addresses {
      guard let route = try routeAround(address.ip, configuration: configuration) else { continue }
      let command = "ip \(route.arguments("add").joined(separator: " "))"
      if !missing.contains(command) { missing.append(command) }
    }
    guard missing.isEmpty else {
      throw .setUp(
        step: "the device \(prepared.name) was prepared without all that the configuration needs",
        reason: "an administrator has to run '\(missing.joined(separator: "'; '"))'")
    }
    guard configuration.mtu == nil, prepared.mtu > fitting else { return [] }
    return [
      "the device's MTU of \(prepared.mtu) is more than fits into one datagram, so that large packets need two: "
        + "'ip link set dev \(prepared.name) mtu \(fitting)' before the start"
    ]
  }
}

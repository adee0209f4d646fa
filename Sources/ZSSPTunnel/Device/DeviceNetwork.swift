// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The parts of the system that ``DeviceNetwork`` reads and changes. Tests replace it.
protocol NetworkSystem: Sendable {
  /// Returns the addresses of the device.
  func addresses() throws(TunnelError) -> Set<IPPrefix>
  /// Returns those of the given routes that exist.
  func existing(_ routes: [DeviceRoute]) throws(TunnelError) -> Set<DeviceRoute>
  /// Runs commands of `ip`, each whatever became of the others.
  func run(_ lines: [String]) throws(TunnelError) -> [SystemCommand.LineFailure]
}

/// The addresses and routes of the tunnel's device, and their changes while the tunnel runs.
///
/// The kernel deletes more than it is told to: with an IPv4 address all others of its network that
/// were added later (`promote_secondaries` is 0), and with the last IPv4 address all IPv4 routes to
/// the device. So each change ends with a look at what exists.
final class DeviceNetwork: Sendable {
  /// The addresses and routes that this process has made, or that were made for it.
  private struct Installed {
    var addresses: Set<IPPrefix>
    var routes: Set<DeviceRoute>
  }

  private let device: String
  private let system: any NetworkSystem
  private let installed: Mutex<Installed>

  /// Continues with the addresses and routes that were made at the start.
  init(device: String, addresses: [IPPrefix], routes: [DeviceRoute], system: any NetworkSystem) {
    self.device = device
    self.system = system
    installed = Mutex(Installed(addresses: Set(addresses), routes: Set(routes)))
  }

  /// Makes the system have exactly these addresses and routes, besides those that others made.
  /// Changes that failed before are tried again.
  ///
  /// - Returns: The errors.
  func apply(addresses: [IPPrefix], routes: [DeviceRoute]) -> [String] {
    // Routes that go are deleted first: one may be in the place of the route that the system makes
    // for the network of a new address.
    deleteRoutes(besides: routes) + change(addresses) + addRoutes(routes, verifies: true)
  }

  /// Makes the system have exactly these routes, besides those that others made. Does not look
  /// whether routes from before still exist.
  ///
  /// - Returns: The errors.
  func apply(routes: [DeviceRoute]) -> [String] {
    deleteRoutes(besides: routes) + addRoutes(routes, verifies: false)
  }

  /// Returns the addresses and routes that this process has made, or that were made for it, and
  /// that the system no longer has.
  func removed() throws(TunnelError) -> [String] {
    let (addresses, routes) = installed.withLock { ($0.addresses, $0.routes) }
    let heldAddresses = try system.addresses()
    let heldRoutes = try system.existing(Array(routes))
    return addresses.subtracting(heldAddresses).map { "address \($0)" }.sorted()
      + routes.subtracting(heldRoutes).map { "route \($0)" }.sorted()
  }

  private func change(_ wanted: [IPPrefix]) -> [String] {
    let former = installed.withLock(\.addresses)
    let gone = former.subtracting(wanted)
    do throws(TunnelError) {
      let before = try system.addresses()
      // New ones are added first, so that routes stay where one of the family is left. What fails
      // here, such as an IPv6 address that has another length, is tried again below.
      _ = try system.run(lines("add", wanted.filter { !before.contains($0) }))
      let deletions = gone.filter(before.contains).sorted { "\($0)" < "\($1)" }
      let undeleted = try system.run(lines("del", deletions))
      let held = try system.addresses()
      // With a deleted address the kernel may have deleted others, also those of an administrator.
      let others = before.subtracting(wanted).subtracting(gone).subtracting(held)
      let missing = wanted.filter { !held.contains($0) } + others.sorted { "\($0)" < "\($1)" }
      let failed = try system.run(lines("add", missing))
      let left = Set(lines("del", deletions.filter(held.contains)))
      let unmade = Set(failed.map(\.line))
      installed.withLock {
        $0.addresses = Set(wanted.filter { !unmade.contains(line("add", $0)) }).union(deletions.filter(held.contains))
      }
      return (undeleted.filter { left.contains($0.line) } + failed).map(\.description)
    } catch {
      return ["\(error)"]
    }
  }

  private func deleteRoutes(besides wanted: [DeviceRoute]) -> [String] {
    let gone = installed.withLock(\.routes).subtracting(wanted).sorted { "\($0)" < "\($1)" }
    guard !gone.isEmpty else { return [] }
    do throws(TunnelError) {
      let failures = try system.run(gone.map { $0.line("del", device: device) }).filter { !$0.saysGone }
      let left = Set(failures.map(\.line))
      installed.withLock { installed in
        installed.routes.subtract(gone.filter { !left.contains($0.line("del", device: device)) })
      }
      return failures.map(\.description)
    } catch {
      return ["\(error)"]
    }
  }

  private func addRoutes(_ wanted: [DeviceRoute], verifies: Bool) -> [String] {
    do throws(TunnelError) {
      let held = verifies ? try system.existing(wanted) : installed.withLock(\.routes)
      let missing = wanted.filter { !held.contains($0) }
      let failures = try system.run(missing.map { $0.line("add", device: device) })
      let unmade = Set(failures.map(\.line))
      installed.withLock { installed in
        for route in wanted {
          if unmade.contains(route.line("add", device: device)) {
            installed.routes.remove(route)
          } else {
            installed.routes.insert(route)
          }
        }
      }
      return failures.map(\.description)
    } catch {
      return ["\(error)"]
    }
  }

  private func line(_ verb: String, _ address: IPPrefix) -> String { "address \(verb) \(address) dev \(device)" }

  private func lines(_ verb: String, _ addresses: [IPPrefix]) -> [String] { addresses.map { line(verb, $0) } }
}

/// The system's network, read and changed with `ip`.
struct IPRoute2: NetworkSystem {
  let device: String

  func addresses() throws(TunnelError) -> Set<IPPrefix> { try PreparedDevice(device).addresses }

  func existing(_ routes: [DeviceRoute]) throws(TunnelError) -> Set<DeviceRoute> {
    var found: Set<DeviceRoute> = []
    for (table, routes) in Dictionary(grouping: routes, by: \.table) {
      for family in Set(routes.map(\.prefix.address.family)) {
        let arguments = [family == .v4 ? "-4" : "-6", "route", "show", "table", table.map { "\($0)" } ?? "main"]
        // On a system without such a table the command fails, and there are no routes.
        let output = try SystemCommand.ip(arguments + ["dev", device], step: "cannot read the routes").output
        found.formUnion(Self.prefixes(output, family: family).map { DeviceRoute(prefix: $0, table: table) })
      }
    }
    return found
  }

  /// Returns the prefixes in the output of `ip route show`, without the routes that the kernel made
  /// by itself.
  static func prefixes(_ output: String, family: IPAddress.Family) -> [IPPrefix] {
    output.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard let first = words.first, !words.contains("kernel") else { return nil }
      if first == "default" { return IPPrefix(IPAddress(family, bits: 0), length: 0) }
      return IPPrefix(first)
    }
  }

  func run(_ lines: [String]) throws(TunnelError) -> [SystemCommand.LineFailure] {
    try SystemCommand.each(lines, step: "cannot change the network of \(device)")
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A route to the tunnel's device.
struct DeviceRoute: Hashable, CustomStringConvertible {
  let prefix: IPPrefix
  /// The routing table; nil for the main one.
  var table: UInt32?

  /// The route for messages.
  var description: String { "\(prefix)" + (table.map { " table \($0)" } ?? "") }

  /// Returns the line for `ip -batch`.
  func line(_ verb: String, device: String) -> String {
    "route \(verb) \(prefix) dev \(device)" + (table.map { " table \($0)" } ?? "")
  }
}

/// The rules that lead packets without the tunnel's mark to the tunnel's default route. More
/// specific routes of the main table, such as those to local networks, take precedence.
struct PolicyRule: Hashable, CustomStringConvertible {
  let family: IPAddress.Family
  let mark: UInt32
  let table: UInt32

  /// The first table number, which is also the default mark, and the suggested UDP port.
  static let firstTable: UInt32 = 20_763
  /// The number of tables that are searched for a free one.
  static let tables: UInt32 = 100
  /// The priority of the first rule. The rule for the main table follows at 32766.
  private static let firstPriority: UInt32 = 32_400

  init(_ family: IPAddress.Family, mark: UInt32, table: UInt32) {
    self.family = family
    self.mark = mark
    self.table = table
  }

  /// Parses a recorded line; nil if it is invalid.
  init?(line: Substring) {
    let words = line.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 4, words[0] == "rule", let family = UInt8(words[1]).flatMap(IPAddress.Family.init(rawValue:)),
      let mark = UInt32(words[2]), let table = UInt32(words[3]),
      (Self.firstTable..<Self.firstTable + Self.tables).contains(table)
    else { return nil }
    self.init(family, mark: mark, table: table)
  }

  /// The recorded line.
  var description: String { "rule \(family.rawValue) \(mark) \(table)" }

  /// The priorities of the two rules, which no other tunnel uses.
  var priorities: [UInt32] {
    let first = Self.firstPriority + 2 * (table - Self.firstTable)
    return [first, first + 1]
  }

  /// Returns the arguments of `ip` that add or delete the two rules.
  func arguments(_ verb: String) -> [[String]] {
    let start = [family == .v4 ? "-4" : "-6", "rule", verb, "priority"]
    return [
      start + ["\(priorities[0])", "table", "main", "suppress_prefixlength", "0"],
      start + ["\(priorities[1])", "not", "fwmark", "\(mark)", "table", "\(table)"],
    ]
  }

  /// Returns the arguments of `ip` that add those of the two rules that a list lacks.
  ///
  /// - Parameter list: The output of `ip rule show` for the family.
  func missing(in list: String) -> [[String]] {
    let present = Set(list.split(separator: "\n").compactMap { UInt32($0.prefix { $0 != ":" }) })
    return zip(priorities, arguments("add")).filter { !present.contains($0.0) }.map(\.1)
  }
}

/// The routing tables, rules and mark of a tunnel.
struct RoutingPlan: Sendable {
  let device: String
  /// The table of default routes with ``RoutingTable/auto``.
  let ownTable: UInt32
  /// The mark of the tunnel's datagrams; nil for none.
  let mark: UInt32?

  /// Chooses numbers that nothing else on the system uses.
  ///
  /// - Parameter marks: True if the tunnel's datagrams may have a mark that the configuration does
  ///   not name.
  init(_ configuration: TunnelConfiguration, device: String, marks: Bool = true) throws(TunnelError) {
    self.device = device
    guard configuration.table == .auto else {
      ownTable = PolicyRule.firstTable
      mark = configuration.mark
      return
    }
    ownTable = try Self.freeTable()
    mark = configuration.mark ?? (marks ? ownTable : nil)
  }

  /// Makes a plan with given numbers.
  init(device: String, ownTable: UInt32, mark: UInt32?) {
    self.device = device
    self.ownTable = ownTable
    self.mark = mark
  }

  private static func freeTable() throws(TunnelError) -> UInt32 {
    let step = "cannot read the system's routing rules"
    var taken = ""
    for family in ["-4", "-6"] {
      taken += try SystemCommand.ip([family, "rule", "show"], step: step).output
      // On a system without rules or routes of a family the command fails.
      taken += try SystemCommand.ip([family, "route", "show", "table", "all"], step: step).output
    }
    let words = Set(taken.split(whereSeparator: \.isWhitespace))
    for table in PolicyRule.firstTable..<PolicyRule.firstTable + PolicyRule.tables where !words.contains("\(table)") {
      return table
    }
    throw .setUp(step: "cannot find a free routing table", reason: "set table to a number, or to \"main\"")
  }

  /// Returns the routes to the device, without duplicates. The system itself makes routes for the
  /// networks of the device's addresses.
  func routes(_ configuration: TunnelConfiguration) -> [DeviceRoute] {
    let prefixes = configuration.peers.flatMap(\.allowedIPs)
    switch configuration.table {
    case .off: return []
    case .main: return NetworkPlan.routed(prefixes, addresses: configuration.addresses).map { DeviceRoute(prefix: $0) }
    case .number(let table):
      var known: Set<IPPrefix> = []
      return prefixes.filter { known.insert($0).inserted }.map { DeviceRoute(prefix: $0, table: table) }
    case .auto:
      let usual = NetworkPlan.routed(prefixes.filter { $0.length > 0 }, addresses: configuration.addresses)
      var known: Set<IPPrefix> = []
      let defaults = prefixes.filter { $0.length == 0 && known.insert($0).inserted }
      return usual.map { DeviceRoute(prefix: $0) } + defaults.map { DeviceRoute(prefix: $0, table: ownTable) }
    }
  }

  /// Changes the system's rules, and records the change.
  ///
  /// - Throws: ``TunnelError/setUp(step:reason:)``.
  func change(from former: [PolicyRule], to next: [PolicyRule], _ ledger: UndoLedger) throws(TunnelError) {
    let gone = former.filter { !next.contains($0) }
    let new = next.filter { !former.contains($0) }
    guard !gone.isEmpty || !new.isEmpty else { return }
    try ledger.remember(rules: former + new)
    var made = former
    var failure: TunnelError?
    for rule in gone {
      do throws(TunnelError) {
        try Self.run("del", rule)
        made.removeAll { $0 == rule }
      } catch {
        failure = error
      }
    }
    for rule in new {
      do throws(TunnelError) {
        try Self.run("add", rule)
        made.append(rule)
      } catch {
        failure = error
        // One of its two rules may exist, and would be in the way of the next attempt. If it cannot
        // be deleted it stays recorded.
        do throws(TunnelError) { try Self.run("del", rule) } catch { made.append(rule) }
      }
    }
    // What failed is not recorded, so that the next change tries it again.
    try ledger.remember(rules: made)
    if let failure { throw failure }
  }

  /// Returns the arguments of `ip` for each of the rules that the system no longer has.
  func removed(of rules: [PolicyRule]) throws(TunnelError) -> [[String]] {
    var missing: [[String]] = []
    for rule in rules {
      let arguments = [rule.family == .v4 ? "-4" : "-6", "rule", "show"]
      let result = try SystemCommand.ip(arguments, step: "cannot read the system's routing rules")
      guard result.exitCode == 0 else {
        throw .setUp(step: "cannot read the system's routing rules", reason: result.reason)
      }
      missing += rule.missing(in: result.output)
    }
    return missing
  }

  /// Adds a rule with the arguments of `ip`.
  ///
  /// - Returns: The error; nil if none.
  static func add(_ arguments: [String]) throws(TunnelError) -> String? {
    let result = try SystemCommand.ip(arguments, step: "cannot change the routing rules")
    return result.exitCode == 0 ? nil : "ip \(arguments.joined(separator: " ")): \(result.reason)"
  }

  /// Adds or deletes the two rules of the system. A missing one is no error when deleting.
  private static func run(_ verb: String, _ rule: PolicyRule) throws(TunnelError) {
    let step = "cannot change the routing rules"
    for arguments in rule.arguments(verb) {
      let result = try SystemCommand.ip(arguments, step: step)
      guard result.exitCode == 0 || verb == "del" && result.saysGone else {
        throw .setUp(step: step, reason: "ip \(arguments.joined(separator: " ")): \(result.reason)")
      }
    }
  }

  /// Returns a warning if strict reverse-path filters would drop the peers' datagrams, because they
  /// ignore the mark.
  func strictDevices(_ configuration: TunnelConfiguration) -> [String] {
    guard rules(configuration).contains(where: { $0.family == .v4 }) else { return [] }
    let root = "/proc/sys/net/ipv4/conf"
    func value(_ name: String) -> Int {
      // A device may disappear at any time.
      let text = try? String(contentsOfFile: "\(root)/\(name)/rp_filter", encoding: .utf8)
      return text.flatMap { Int($0.filter(\.isNumber)) } ?? 0
    }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
    let all = value("all")
    let strict = names.filter { !["all", "default", "lo", device].contains($0) && max(all, value($0)) == 1 }.sorted()
    guard !strict.isEmpty else { return [] }
    return [
      "rp_filter is 1 for \(strict.joined(separator: ", ")): the kernel drops datagrams of peers that come there, because "
        + "other packets to them go through the tunnel; set net.ipv4.conf.all.rp_filter to 2"
    ]
  }

  /// Returns the rules that lead to the default routes.
  func rules(_ configuration: TunnelConfiguration) -> [PolicyRule] {
    guard configuration.table == .auto, let mark else { return [] }
    let families = Set(routes(configuration).filter { $0.table != nil }.map(\.prefix.address.family))
    return families.sorted { $0.rawValue < $1.rawValue }.map { PolicyRule($0, mark: mark, table: ownTable) }
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import Testing

/// Cuts one node of a cluster on loopback off from the others, in both directions, while clients
/// still reach it. Each node is a user of its own, by which the kernel marks its connections to the
/// ports that nodes have for each other. Needs the rights of root, and iptables.
final class Partition: Sendable {
  private static let table = Etcd.find("iptables") ?? "/usr/sbin/iptables"
  private let ports: String
  private let users: [Int]
  private let isolated = Mutex<Int?>(nil)

  /// True if this machine can do it, found out by doing it with a free port.
  static let isPossible: Bool = {
    guard geteuid() == 0, FileManager.default.isExecutableFile(atPath: table) else { return false }
    do {
      let trial = try Partition(ports: [1], users: [EtcdNodes.firstUser])
      try trial.cutOff(0)
      try trial.heal()
      return true
    } catch {
      return false
    }
  }()
  /// True if tests that need it run. In CI they fail if it is not possible; elsewhere they are left
  /// out.
  static let isTested = isPossible || ProcessInfo.processInfo.environment["ZSSP_PARTITION_REQUIRED"] != nil
  static let impossible: Comment = "needs the rights of root, and iptables with owner and connmark"

  init(_ nodes: EtcdNodes) throws {
    (ports, users) = (nodes.nodes.map { "\($0.peerPort)" }.joined(separator: ","), nodes.nodes.compactMap(\.user))
    try mark("-A")
  }

  private init(ports: [Int], users: [Int]) throws {
    (self.ports, self.users) = (ports.map { "\($0)" }.joined(separator: ","), users)
    try mark("-A")
  }

  deinit {
    do {
      try heal()
      try mark("-D")
    } catch {
      Issue.record("rules are left in iptables: \(error)")
    }
  }

  /// Drops everything between this node and the others.
  func cutOff(_ index: Int) throws {
    isolated.withLock { $0 = index }
    try drop("-A", index)
  }

  /// Lets it through again.
  func heal() throws {
    let index = isolated.withLock { isolated in
      defer { isolated = nil }
      return isolated
    }
    if let index { try drop("-D", index) }
  }

  /// Both ends of a connection mark it, each with a bit.
  private func mark(_ action: String) throws {
    for (index, user) in users.enumerated() {
      try run(
        Self.table, "-w", "-t", "mangle", action, "OUTPUT", "-o", "lo", "-p", "tcp", "-m", "multiport", "--ports",
        ports,
        "-m", "owner", "--uid-owner", "\(user)", "-j", "CONNMARK", "--or-mark", "\(0x1000 << index)")
    }
  }

  private func drop(_ action: String, _ index: Int) throws {
    let bit = 0x1000 << index
    try run(
      Self.table, "-w", action, "OUTPUT", "-o", "lo", "-p", "tcp", "-m", "multiport", "--ports", ports, "-m",
      "connmark", "--mark", "\(bit)/\(bit)", "-j", "DROP")
  }
}

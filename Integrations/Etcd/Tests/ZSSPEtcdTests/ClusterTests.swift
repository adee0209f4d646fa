// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSP

@testable import ZSSPEtcd

extension OverEtcd {
  /// Three nodes, of which one fails at a time while several stores swap at once.
  /// `ZSSP_ETCD_ROUNDS` says how often (3), `ZSSP_ETCD_SEED` from which seed.
  @Suite(
    "A cluster whose nodes fail", .timeLimit(.minutes(60)))
  struct ClusterTests {
    private static let rounds = Int(ProcessInfo.processInfo.environment["ZSSP_ETCD_ROUNDS"] ?? "") ?? 3
    private static let seed = UInt64(ProcessInfo.processInfo.environment["ZSSP_ETCD_SEED"] ?? "") ?? 1

    private func open(_ nodes: EtcdNodes, _ count: Int) async throws -> [EtcdRatchetStore] {
      let options = nodes.options()
      var stores: [EtcdRatchetStore] = []
      for _ in 0..<count { stores.append(try await nodes.open(options)) }
      return stores
    }

    /// Runs the load while `fault` is done to a node and undone, and checks the histories and the
    /// store.
    private func run(
      _ name: String, users: Bool = false, _ fault: @escaping @Sendable (EtcdNodes, inout Dice) async throws -> Void
    ) async throws {
      let nodes = try EtcdNodes(3, users: users)
      let stores = try await open(nodes, 4)
      for round in 0..<Self.rounds {
        let seed = Self.seed &+ UInt64(round)
        let outcome = try await Load(peers: 16).run(stores, tasks: 12, seed: seed) {
          var random = Dice(seed: seed)
          try await fault(nodes, &random)
        }
        print("\(name), seed \(seed): \(outcome.summary)")
        let bad = outcome.histories.filter { !$0.isLinearizable() }.count
        #expect(bad == 0, "\(name), seed \(seed)")
        #expect(outcome.done > 0)
        #expect(try await stores[0].check() == [])
        // The next round begins with rows that nobody has.
        try await stores[0].store(stores[0].rows().mapValues { _ in RatchetRow() }, replaces: true)
      }
      for store in stores { await close(store) }
    }

    /// Waits until so many swaps more are done through any store; that they are is what is tested.
    private static func pause(_ milliseconds: Int) async throws {
      try await Task.sleep(for: .milliseconds(milliseconds))
    }

    @Test func aNodeIsKilled() async throws {
      try await run("a node is killed") { nodes, random in
        let node = nodes.nodes[.random(in: 0..<3, using: &random)]
        try await Self.pause(500)
        node.kill()
        try await Self.pause(3000)
        try node.start()
        try await Self.pause(1000)
      }
    }

    @Test func theLeaderIsStopped() async throws {
      try await run("the leader is stopped") { nodes, _ in
        try await Self.pause(500)
        let leader = try await nodes.leader()
        leader.setStopped(true)
        try await Self.pause(4000)
        // It goes on as if no time had passed, with all calls that were under way.
        leader.setStopped(false)
        try await Self.pause(1000)
      }
    }

    /// It does not notice at first, takes calls that it can do nothing about, and keeps their
    /// writes in its log.
    @Test(.enabled(if: Partition.isTested, Partition.impossible))
    func theLeaderIsCutOff() async throws {
      try await run("the leader is cut off", users: true) { nodes, _ in
        let partition = try Partition(nodes)
        try await Self.pause(500)
        let leader = try await nodes.leader()
        let index = try #require(nodes.nodes.firstIndex { $0 === leader })
        try partition.cutOff(index)
        try await Self.pause(5000)
        try partition.heal()
        try await Self.pause(2000)
      }
    }

    /// For a while nobody can write anything, and nothing is said that is not known.
    @Test func theMajorityIsStopped() async throws {
      try await run("two nodes are stopped") { nodes, random in
        let spared = Int.random(in: 0..<3, using: &random)
        let others = nodes.nodes.indices.filter { $0 != spared }.map { nodes.nodes[$0] }
        try await Self.pause(500)
        for node in others { node.setStopped(true) }
        try await Self.pause(3000)
        for node in others { node.setStopped(false) }
        try await Self.pause(2000)
      }
    }
  }
}

extension EtcdNodes {
  /// The node that leads, found by asking etcdctl's way: each says who it is and who leads.
  func leader() async throws -> EtcdNode {
    // None leads during an election, which takes a moment.
    while true {
      try Task.checkCancellation()
      for node in nodes {
        var options = self.options()
        options.nodes = [EtcdStoreOptions.Node(host: "127.0.0.1", port: node.port)]
        let cluster = try Cluster(options)
        let leads: Bool
        do throws(CallFailure) {
          let status = try await cluster.status()
          leads = status.header.memberID == status.leader
        } catch {
          // It is not up yet.
          leads = false
        }
        await cluster.close()
        if leads { return node }
      }
      try await Task.sleep(for: .milliseconds(50))
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP

@testable import ZSSPEtcd

extension OverEtcd {
  @Suite(
    "Calls that get no answer", .timeLimit(.minutes(20)))
  struct ChaosTests {
    private static let shared = Result { try EtcdNodes() }

    private static let plans = [
      Chaos.Plan(lostCalls: 20), Chaos.Plan(lostAnswers: 20), Chaos.Plan(lateCalls: 20),
      Chaos.Plan(lostCalls: 10, lostAnswers: 10, lateCalls: 10),
    ]

    /// A store behind chaos.
    private func open(
      _ options: EtcdStoreOptions, _ plan: Chaos.Plan, seed: UInt64
    ) async throws -> (EtcdRatchetStore, Chaos) {
      let chaos = Chaos(try Cluster(options), plan, seed: seed)
      return (try await EtcdRatchetStore.open(chaos, options, .fastest), chaos)
    }

    @Test(arguments: plans.indices, UInt64(1)...3)
    func neverAWrongAnswer(plan: Int, seed: UInt64) async throws {
      var options = try Self.shared.get().options()
      options.pause = (.milliseconds(1), .milliseconds(4))
      var stores: [EtcdRatchetStore] = []
      var faults = 0
      var chaoses: [Chaos] = []
      for number in 0..<3 {
        let (store, chaos) = try await open(options, Self.plans[plan], seed: seed * 10 + UInt64(number))
        stores.append(store)
        chaoses.append(chaos)
      }
      let outcome = try await Load(peers: 3).run(stores, tasks: 6, steps: 40, seed: seed) {}
      let bad = outcome.histories.filter { !$0.isLinearizable() }.count
      #expect(bad == 0, "seed \(seed), plan \(plan)")
      for chaos in chaoses { faults += chaos.faults }
      #expect(faults > 0 && outcome.done > 0)
      // Nearly everything is found out, but for swaps whose row was removed or written often since.
      #expect(outcome.unknown * 10 <= outcome.done + outcome.lost, "\(outcome.summary)")
      let problems = try await Self.check(options)
      #expect(problems.isEmpty, "\(problems)")
      for store in stores { await close(store) }
    }

    /// A call that was given up and comes when the store has said long ago what the row is. Where
    /// there was a row, its revision alone would stop the call here; that the fence does is shown
    /// by ``WaitingTests``, where the row stays as it was.
    @Test func aLateCallIsNotDoneAnyMore() async throws {
      let nodes = try Self.shared.get()
      let options = nodes.options()
      let store = try await nodes.open(options)
      let peer = try Sample.peer(1)
      #expect(await store.swap(peer, .empty, Sample.pair(1)).isSwapped)
      let late = Recorder(try Cluster(options))
      let other = try await EtcdRatchetStore.open(late, options, .fastest)
      // Two swaps, of a row that there is and of one that there is not, whose calls are held back.
      let second = try Sample.peer(2)
      #expect(await other.swap(try Sample.peer(3), .empty, Sample.pair(9)).isSwapped)
      late.isHolding.raise()
      async let one = other.swap(peer, Sample.pair(1), Sample.pair(2))
      async let two = other.swap(second, .empty, Sample.pair(3))
      let answers = [await one, await two]
      #expect(answers.allSatisfy { $0.isSwapped })
      // The swaps were done by other calls. Those that were held back come now, when the rows are
      // as they were.
      #expect(await store.swap(peer, Sample.pair(2), Sample.pair(1)).isSwapped)
      #expect(await store.swap(second, Sample.pair(3), .empty).isSwapped)
      #expect(try await late.release() >= 2)
      #expect(await store.pair(peer) == Sample.pair(1))
      #expect(await store.pair(second) == .empty)
      await close(store)
      await close(other)
    }

    private static func check(_ options: EtcdStoreOptions) async throws -> [String] {
      let store = try await EtcdRatchetStore.open(options, provider: .fastest, creates: false)
      let problems = try await store.check()
      try await store.close()
      return problems
    }
  }
}

/// Closes a store behind chaos, which may lose the call that removes its fence.
func close(_ store: EtcdRatchetStore) async {
  do throws(EtcdStoreError) { try await store.close() } catch {
    // A few bytes stay in an etcd that is thrown away.
  }
}

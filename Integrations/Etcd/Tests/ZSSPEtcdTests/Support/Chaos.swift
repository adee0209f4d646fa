// SPDX-License-Identifier: Apache-2.0
import Synchronization

@testable import ZSSPEtcd

/// Stands between a store and etcd, and loses calls and answers, or lets a call that was given up
/// be done later.
final class Chaos: KeyValues {
  /// The faults of calls, in percent.
  struct Plan: Sendable {
    var lostCalls = 0
    var lostAnswers = 0
    var lateCalls = 0
  }

  private let base: any KeyValues
  private let plan: Plan
  private let state: Mutex<(random: Dice, late: [Etcdserverpb_TxnRequest], faults: Int)>

  init(_ base: any KeyValues, _ plan: Plan, seed: UInt64) {
    (self.base, self.plan) = (base, plan)
    state = Mutex((Dice(seed: seed), [], 0))
  }

  var faults: Int { state.withLock { $0.faults } }

  func range(_ request: Etcdserverpb_RangeRequest) async throws(CallFailure) -> Etcdserverpb_RangeResponse {
    try await base.range(request)
  }

  func transact(_ request: Etcdserverpb_TxnRequest) async throws(CallFailure) -> Etcdserverpb_TxnResponse {
    // What was given up earlier is done now, or much later.
    while let late = state.withLock({ state in
      state.late.isEmpty || Int.random(in: 0...3, using: &state.random) > 0
        ? nil : state.late.remove(at: .random(in: state.late.indices, using: &state.random))
    }) {
      _ = try await base.transact(late)
    }
    let drawn = state.withLock { Int.random(in: 0..<100, using: &$0.random) }
    var limit = plan.lostCalls
    if drawn < limit { throw fault("lost call") }
    limit += plan.lostAnswers
    if drawn < limit {
      _ = try await base.transact(request)
      throw fault("lost answer")
    }
    limit += plan.lateCalls
    if drawn < limit {
      state.withLock { $0.late.append(request) }
      throw fault("late call")
    }
    return try await base.transact(request)
  }

  func close() async { await base.close() }

  private func fault(_ reason: String) -> CallFailure {
    state.withLock { $0.faults += 1 }
    return .unknown(reason)
  }
}

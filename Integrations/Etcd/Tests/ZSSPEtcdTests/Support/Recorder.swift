// SPDX-License-Identifier: Apache-2.0
import Synchronization

@testable import ZSSPEtcd

/// Holds the first write of each row back, and says that it got no answer.
final class Recorder: KeyValues {
  let isHolding = Flag()
  private let base: any KeyValues
  private let state = Mutex<(held: [Etcdserverpb_TxnRequest], rows: Set<[UInt8]>)>(([], []))

  init(_ base: any KeyValues) { self.base = base }

  func range(_ request: Etcdserverpb_RangeRequest) async throws(CallFailure) -> Etcdserverpb_RangeResponse {
    try await base.range(request)
  }

  func transact(_ request: Etcdserverpb_TxnRequest) async throws(CallFailure) -> Etcdserverpb_TxnResponse {
    // Writes of rows compare three keys, the row last.
    if isHolding.isRaised, request.compare.count == 3, let row = request.compare.last {
      let isFirst = state.withLock { state in
        let isFirst = state.rows.insert([UInt8](row.key)).inserted
        if isFirst { state.held.append(request) }
        return isFirst
      }
      if isFirst { throw .unknown("held back") }
    }
    return try await base.transact(request)
  }

  func close() async { await base.close() }

  /// Makes the calls that were held back, and says how many these are.
  func release() async throws -> Int {
    let held = state.withLock { $0.held }
    for request in held { _ = try await base.transact(request) }
    return held.count
  }
}

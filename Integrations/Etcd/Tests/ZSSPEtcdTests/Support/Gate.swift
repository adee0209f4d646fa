// SPDX-License-Identifier: Apache-2.0
import Synchronization

@testable import ZSSPEtcd

/// Stands between a store and etcd, and asks a test about each call: before it, and what becomes of
/// it.
final class Gate: KeyValues {
  enum Fate: Sendable {
    case done
    /// The call does not come to etcd, now or ever.
    case lost
    /// It is done, and nobody is told.
    case lostAnswer
    /// It comes to etcd when the test says so.
    case held
  }

  /// Is told the number of the call, from 1, and what it is if it is a transaction.
  typealias Hook = @Sendable (_ number: Int, _ request: Etcdserverpb_TxnRequest) async throws -> Fate

  private let base: any KeyValues
  private let hook: Hook
  private let state = Mutex<(count: Int, held: [Etcdserverpb_TxnRequest])>((0, []))

  init(_ base: any KeyValues, _ hook: @escaping Hook) { (self.base, self.hook) = (base, hook) }

  /// The number of calls.
  var count: Int { state.withLock { $0.count } }

  func range(_ request: Etcdserverpb_RangeRequest) async throws(CallFailure) -> Etcdserverpb_RangeResponse {
    guard case .done = try await fate(Etcdserverpb_TxnRequest()) else { throw .unknown("lost") }
    return try await base.range(request)
  }

  func transact(_ request: Etcdserverpb_TxnRequest) async throws(CallFailure) -> Etcdserverpb_TxnResponse {
    switch try await fate(request) {
    case .done: return try await base.transact(request)
    case .lost: break
    case .lostAnswer: _ = try await base.transact(request)
    case .held: state.withLock { $0.held.append(request) }
    }
    throw .unknown("no answer")
  }

  func close() async { await base.close() }

  /// Makes the calls that were held, and says how many these are.
  func release() async throws -> Int {
    let held = state.withLock { $0.held }
    for request in held { _ = try await base.transact(request) }
    return held.count
  }

  private func fate(_ request: Etcdserverpb_TxnRequest) async throws(CallFailure) -> Fate {
    let number = state.withLock { state in
      state.count += 1
      return state.count
    }
    do { return try await hook(number, request) } catch { throw .refused(.refused(reason: "the test: \(error)")) }
  }
}

/// An event that happens once in a test.
final class Once: Sendable {
  private let isDone = Mutex(false)

  var hasHappened: Bool { isDone.withLock(\.self) }

  /// Returns true the first time.
  func first() -> Bool {
    isDone.withLock { isDone in
      defer { isDone = true }
      return !isDone
    }
  }
}

extension Etcdserverpb_TxnRequest {
  /// True if it writes a row, or removes one.
  var changesRow: Bool {
    // It compares the head, the fence and rows.
    compare.count > 2
      && success.contains { operation in
        switch operation.request {
        case .requestPut, .requestDeleteRange: true
        default: false
        }
      }
  }
}

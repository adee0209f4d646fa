// SPDX-License-Identifier: Apache-2.0

/// The interface of the store to etcd: one call, to any node. Tests replace it.
protocol KeyValues: Sendable {
  /// Reads keys, at a moment between the call and its answer.
  func range(_ request: Etcdserverpb_RangeRequest) async throws(CallFailure) -> Etcdserverpb_RangeResponse
  /// Executes a transaction.
  func transact(_ request: Etcdserverpb_TxnRequest) async throws(CallFailure) -> Etcdserverpb_TxnResponse
  /// Closes the connections.
  func close() async
}

/// The failure of a call, by its consequences.
enum CallFailure: Error, Sendable, Equatable {
  /// The outcome is unknown, and the call may still be under way. A later call may succeed.
  case unknown(String)
  /// The call was not executed. A later call may succeed.
  case busy(String)
  /// The call will not be executed later. It was not executed either, unless the database is full:
  /// etcd reports that also for the write that fills it.
  case refused(EtcdStoreError)

  var error: EtcdStoreError {
    switch self {
    case .unknown(let reason), .busy(let reason): .unreachable(reason: reason)
    case .refused(let error): error
    }
  }
}

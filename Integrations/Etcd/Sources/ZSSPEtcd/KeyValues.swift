// SPDX-License-Identifier: Apache-2.0

/// What the store asks of etcd: one call, to whichever node. Tests put something between the store and etcd here.
protocol KeyValues: Sendable {
  /// Reads keys, as of a moment between the call and its answer.
  func range(_ request: Etcdserverpb_RangeRequest) async throws(CallFailure) -> Etcdserverpb_RangeResponse
  /// Compares, and does one thing or the other, at once.
  func transact(_ request: Etcdserverpb_TxnRequest) async throws(CallFailure) -> Etcdserverpb_TxnResponse
  /// Gives connections back.
  func close() async
}

/// A call that failed, by what may be concluded from that.
enum CallFailure: Error, Sendable, Equatable {
  /// Nobody knows what became of it, and it may still be on its way. A later call may work.
  case unknown(String)
  /// It was not done. A later call may work.
  case busy(String)
  /// It will not be done later. Nor was it done, unless the database is full: etcd says so also of the write that fills it.
  case refused(EtcdStoreError)

  var error: EtcdStoreError {
    switch self {
    case .unknown(let reason), .busy(let reason): .unreachable(reason: reason)
    case .refused(let error): error
    }
  }
}

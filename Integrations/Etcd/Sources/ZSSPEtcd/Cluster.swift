// SPDX-License-Identifier: Apache-2.0
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import SwiftProtobuf
import Synchronization

/// The nodes of a cluster. Calls go to the last node that worked; after a failure, to the next one.
final class Cluster: KeyValues {
  private let nodes: [Connection]
  private let credentials: Credentials?
  private let timeout: Duration
  private let prefix: String
  private let state = Mutex(State())

  private struct State {
    /// The index of the node that calls go to.
    var current = 0
    /// The highest revision of all answers.
    var revision: Int64 = 0
    var wasSetBack = false
  }

  init(_ options: EtcdStoreOptions) throws(EtcdStoreError) {
    var nodes: [Connection] = []
    for node in options.nodes { nodes.append(try Connection(node, options)) }
    self.nodes = nodes
    timeout = options.callTimeout
    prefix = options.prefix
    credentials = options.credentials.map { Credentials($0) }
    // The responders of a fleet should not all start with the same node.
    state.withLock { $0.current = .random(in: nodes.indices) }
  }

  func range(_ request: Etcdserverpb_RangeRequest) async throws(CallFailure) -> Etcdserverpb_RangeResponse {
    // Reads at an older revision, and further pages, also have the newest revision in their header.
    try await ordered(\.header.revision) { () async throws(CallFailure) in
      try await authenticated("KV", "Range", request)
    }
  }

  func transact(_ request: Etcdserverpb_TxnRequest) async throws(CallFailure) -> Etcdserverpb_TxnResponse {
    try await ordered(\.header.revision) { () async throws(CallFailure) in
      try await authenticated("KV", "Txn", request)
    }
  }

  /// Returns the status of the current node.
  func status() async throws(CallFailure) -> Etcdserverpb_StatusResponse {
    try await authenticated("Maintenance", "Status", Etcdserverpb_StatusRequest())
  }

  func close() async {
    for node in nodes { await node.close() }
  }

  /// Checks that revisions only grow. If a revision is lower than that of an answer from before the
  /// call, the cluster was restored to an older state, and comparisons of revisions may be wrong.
  private func ordered<Response: Sendable>(
    _ revision: (Response) -> Int64, _ call: () async throws(CallFailure) -> Response
  ) async throws(CallFailure) -> Response {
    let (before, wasSetBack) = state.withLock { ($0.revision, $0.wasSetBack) }
    guard !wasSetBack else { throw .refused(.replaced(prefix: prefix)) }
    let response = try await call()
    let isInOrder = state.withLock { state in
      let isInOrder = revision(response) >= before
      if isInOrder { state.revision = max(state.revision, revision(response)) } else { state.wasSetBack = true }
      return isInOrder
    }
    // A write may have been executed, but on a cluster in another state than intended.
    guard isInOrder else { throw .refused(.replaced(prefix: prefix)) }
    return response
  }

  /// Makes a call with the user's token, which is renewed if etcd no longer accepts it.
  private func authenticated<Response: Message>(
    _ service: String, _ method: String, _ request: some Message
  ) async throws(CallFailure) -> Response {
    guard let credentials else { return try await call(service, method, request, token: nil) }
    let token = try await credentials.token(self)
    do {
      return try await call(service, method, request, token: token)
    } catch .refused(.refused(let reason)) where Credentials.isOutdated(reason) {
      await credentials.forget(token)
      let token = try await credentials.token(self)
      return try await call(service, method, request, token: token)
    }
  }

  /// Requests a token for a user. That changes nothing else in etcd.
  fileprivate func authenticate(_ user: EtcdStoreOptions.Credentials) async throws(CallFailure) -> String {
    var request = Etcdserverpb_AuthenticateRequest()
    request.name = user.user
    request.password = user.password
    let response: Etcdserverpb_AuthenticateResponse = try await call("Auth", "Authenticate", request, token: nil)
    return response.token
  }

  private func call<Response: Message>(
    _ service: String, _ method: String, _ request: some Message, token: String?
  ) async throws(CallFailure) -> Response {
    let index = state.withLock { $0.current }
    let node = nodes[index]
    do {
      return try await node.call("etcdserverpb.\(service)", method, request, token: token, timeout: timeout)
    } catch {
      if case .refused = error { throw error }
      state.withLock { state in
        // Another call may have moved on already.
        if state.current == index { state.current = (index + 1) % nodes.count }
      }
      throw error
    }
  }
}

/// A user's token, which all calls share.
actor Credentials {
  private let user: EtcdStoreOptions.Credentials
  private var current: Task<Result<String, CallFailure>, Never>?

  init(_ user: EtcdStoreOptions.Credentials) { self.user = user }

  /// Returns the token, and requests one from etcd if necessary.
  func token(_ cluster: Cluster) async throws(CallFailure) -> String {
    let user = user
    let task =
      current
      ?? Task {
        do throws(CallFailure) { return .success(try await cluster.authenticate(user)) } catch {
          return .failure(error)
        }
      }
    current = task
    let result = await task.value
    if case .failure = result, current == task { current = nil }
    do {
      return try result.get()
    } catch .unknown(let reason) {
      // The call that needs the token was not made.
      throw .busy(reason)
    }
  }

  /// Discards a token.
  func forget(_ token: String) async {
    guard let task = current, case .success(token) = await task.value, current == task else { return }
    current = nil
  }

  /// Returns true if etcd would accept another token: this one has expired, or users have changed
  /// since.
  static func isOutdated(_ reason: String) -> Bool {
    reason.contains("invalid auth token") || reason.contains("revision of auth store is old")
      || reason.contains("user name is empty")
  }
}

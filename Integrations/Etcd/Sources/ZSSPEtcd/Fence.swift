// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A key of this store, whose revision every write of the store compares. Raising the fence writes
/// that key, and then no earlier write can be executed any more. So the outcome of a call without
/// an answer becomes final.
///
/// Without a fence, a node that was cut off for a while might execute such a call after the store
/// has already reported the state of the row.
actor Fence {
  /// The age of fences, in revisions of etcd.
  struct Age: Sendable {
    /// The number of revisions after which a writing store raises its own fence.
    var refreshed: Int64 = 100_000
    /// The number of revisions after which a fence counts as abandoned by a store that did not
    /// close, and is removed.
    var removed: Int64 = 1_000_000
  }

  nonisolated let name: [UInt8]
  /// The key of the fence.
  nonisolated let key: [UInt8]
  private let keys: Keys
  private let age: Age

  private let keyValues: any KeyValues
  private var revision: Int64?
  private var raising: Task<Result<Int64, CallFailure>, Never>?
  private var isClosed = false
  /// True if the key may exist.
  private var wasRaised = false
  /// True if a write was started whose outcome is unknown.
  private(set) var isInDoubt = false

  init(_ keyValues: any KeyValues, _ keys: Keys, name: [UInt8], age: Age = Age()) {
    self.keyValues = keyValues
    self.keys = keys
    self.name = name
    self.age = age
    key = keys.fence(name)
  }

  /// Returns the revision of the key that a write must compare. Raises the fence if necessary.
  func raised() async throws(CallFailure) -> Int64 {
    if let revision { return revision }
    guard !isClosed else { throw .refused(.closed) }
    let task = raising ?? Task { await self.raise() }
    raising = task
    return try await task.value.get()
  }

  /// Invalidates the revision `old`: a write that compared it may still be under way, or the key
  /// has changed.
  func fall(_ old: Int64, isInDoubt: Bool) {
    if revision == old { revision = nil }
    // If it was raised meanwhile, that was after the write had begun.
    if isInDoubt, revision == nil { self.isInDoubt = true }
  }

  /// Called after a write that compared `old` was executed. If the fence is old, the next write
  /// raises it, because other stores take old fences for abandoned.
  func refresh(_ old: Int64, now: Int64) {
    if now - old > age.refreshed { fall(old, isInDoubt: false) }
  }

  /// Ensures that no write with an unknown outcome is under way.
  func settle() async throws(CallFailure) {
    if isInDoubt { _ = try await raised() }
  }

  /// Removes the key and the marks. Writes under way will not be executed.
  func close() async throws(CallFailure) {
    isClosed = true
    // A later write of the key would stay.
    if let raising { _ = await raising.value }
    guard wasRaised else { return }
    revision = nil
    var request = Etcdserverpb_TxnRequest()
    request.success = removal(of: name)
    _ = try await keyValues.transact(request)
  }

  /// Returns the operations that remove a store's fence and its marks together: as long as a fence
  /// exists, no mark has been removed since it was created.
  private func removal(of name: [UInt8]) -> [Etcdserverpb_RequestOp] {
    [.delete(keys.fence(name)), .delete(keys.marks(name), allWithPrefix: true)]
  }

  private func raise() async -> Result<Int64, CallFailure> {
    defer { raising = nil }
    do {
      if !isInDoubt { try await tidy() }
      wasRaised = true
      var request = Etcdserverpb_TxnRequest()
      request.success = [.put(key, [1])]
      let raised = try await keyValues.transact(request).header.revision
      revision = raised
      isInDoubt = false
      return .success(raised)
    } catch {
      return .failure(error)
    }
  }

  /// Removes old fences. A store whose fence was removed raises it again.
  func tidy() async throws(CallFailure) {
    var request = Etcdserverpb_RangeRequest(prefix: keys.fences, limit: 32, keysOnly: true)
    request.sortTarget = .mod
    request.sortOrder = .ascend
    let response = try await keyValues.range(request)
    var removal = Etcdserverpb_TxnRequest()
    for fence in response.kvs where response.header.revision - fence.modRevision > age.removed {
      guard let name = keys.name(ofFence: [UInt8](fence.key)), name != self.name else { continue }
      // A fence that was raised meanwhile is in use.
      removal.compare.append(.modified([UInt8](fence.key), at: fence.modRevision))
      removal.success += self.removal(of: name)
    }
    if !removal.compare.isEmpty { _ = try await keyValues.transact(removal) }
  }
}

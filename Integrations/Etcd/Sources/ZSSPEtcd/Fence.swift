// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A key of this store alone, which every write of it compares: raising the fence writes that key, and then no write that was
/// begun before can be done any more. So what a call that got no answer has left is known for good.
///
/// Without it such a call might be done later, by a node that was cut off for a while, when the store has long said what the row is.
actor Fence {
  /// The key.
  nonisolated let key: [UInt8]
  /// What the keys of all stores' fences begin with.
  private let folder: [UInt8]
  /// So many stores may have a fence. Those of stores that did not close stay behind, and the oldest are removed.
  private static let limit = 1000

  private let keyValues: any KeyValues
  private var revision: Int64?
  private var raising: Task<Result<Int64, CallFailure>, Never>?
  private var isClosed = false
  /// Whether a write was begun of which nobody knows what becomes.
  private(set) var isInDoubt = false

  init(_ keyValues: any KeyValues, _ keys: Keys, name: [UInt8]) {
    (self.keyValues, folder, key) = (keyValues, keys.fences, keys.fence(name))
  }

  /// The revision that a write must compare the key's with.
  func raised() async throws(CallFailure) -> Int64 {
    if let revision { return revision }
    guard !isClosed else { throw .refused(.closed) }
    let task = raising ?? Task { await self.raise() }
    raising = task
    return try await task.value.get()
  }

  /// The writes that compare with `old` must not be repeated: one may still be on its way, or the key is not what it was.
  func fall(_ old: Int64, isInDoubt: Bool) {
    if revision == old { revision = nil }
    // If it was raised meanwhile, that was after the write had begun.
    if isInDoubt, revision == nil { self.isInDoubt = true }
  }

  /// Makes sure that no write is on its way of which nobody knows what becomes.
  func settle() async throws(CallFailure) {
    if isInDoubt { _ = try await raised() }
  }

  /// Removes the key, and what lies under it. Writes that are on their way will not be done.
  func close() async throws(CallFailure) {
    isClosed = true
    guard revision != nil || isInDoubt || raising != nil else { return }
    revision = nil
    var request = Etcdserverpb_TxnRequest()
    request.success = [.delete(key, allWithPrefix: true)]
    _ = try await keyValues.transact(request)
  }

  private func raise() async -> Result<Int64, CallFailure> {
    defer { raising = nil }
    do {
      if !isInDoubt { try await tidy() }
      var request = Etcdserverpb_TxnRequest()
      request.success = [.put(key, [1])]
      let raised = try await keyValues.transact(request).header.revision
      (revision, isInDoubt) = (raised, false)
      return .success(raised)
    } catch {
      return .failure(error)
    }
  }

  /// Removes the oldest fences when there are too many. A store that misses its own raises it again.
  private func tidy() async throws(CallFailure) {
    var request = Etcdserverpb_RangeRequest(prefix: folder, keysOnly: true)
    (request.sortTarget, request.sortOrder) = (.mod, .ascend)
    let fences = try await keyValues.range(request).kvs.map { [UInt8]($0.key) }
    let excess = fences.prefix(max(0, fences.count - Self.limit)).prefix(100)
    guard !excess.isEmpty else { return }
    var removal = Etcdserverpb_TxnRequest()
    removal.success = excess.map { .delete($0, allWithPrefix: true) }
    _ = try await keyValues.transact(removal)
  }
}

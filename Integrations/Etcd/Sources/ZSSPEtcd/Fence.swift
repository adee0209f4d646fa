// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A key of this store alone, which every write of it compares: raising the fence writes that key, and then no write that was
/// begun before can be done any more. So what a call that got no answer has left is known for good.
///
/// Without it such a call might be done later, by a node that was cut off for a while, when the store has long said what the row is.
actor Fence {
  /// When a fence is old, in changes of all of etcd.
  struct Age: Sendable {
    /// A store that writes raises its own after so many.
    var refreshed: Int64 = 100_000
    /// Those that were not raised for so many are of stores that did not close, and are removed.
    var removed: Int64 = 1_000_000
  }

  nonisolated let name: [UInt8]
  /// The key.
  nonisolated let key: [UInt8]
  private let keys: Keys
  private let age: Age

  private let keyValues: any KeyValues
  private var revision: Int64?
  private var raising: Task<Result<Int64, CallFailure>, Never>?
  private var isClosed = false
  /// Whether the key may be there.
  private var wasRaised = false
  /// Whether a write was begun of which nobody knows what becomes.
  private(set) var isInDoubt = false

  init(_ keyValues: any KeyValues, _ keys: Keys, name: [UInt8], age: Age = Age()) {
    (self.keyValues, self.keys, self.name, self.age) = (keyValues, keys, name, age)
    key = keys.fence(name)
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

  /// A write was done that compared with `old`. If that was long ago, the next one raises the fence: others take old ones for abandoned.
  func refresh(_ old: Int64, now: Int64) {
    if now - old > age.refreshed { fall(old, isInDoubt: false) }
  }

  /// Makes sure that no write is on its way of which nobody knows what becomes.
  func settle() async throws(CallFailure) {
    if isInDoubt { _ = try await raised() }
  }

  /// Removes the key and the marks. Writes that are on their way will not be done.
  func close() async throws(CallFailure) {
    isClosed = true
    // What is written later would stay.
    if let raising { _ = await raising.value }
    guard wasRaised else { return }
    revision = nil
    var request = Etcdserverpb_TxnRequest()
    request.success = removal(of: name)
    _ = try await keyValues.transact(request)
  }

  /// The fence of a store and its marks go together: who finds a fence knows that no mark was lost since it was made.
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
      (revision, isInDoubt) = (raised, false)
      return .success(raised)
    } catch {
      return .failure(error)
    }
  }

  /// Removes fences that are old. A store that misses its own raises it again.
  func tidy() async throws(CallFailure) {
    var request = Etcdserverpb_RangeRequest(prefix: keys.fences, limit: 32, keysOnly: true)
    (request.sortTarget, request.sortOrder) = (.mod, .ascend)
    let response = try await keyValues.range(request)
    var removal = Etcdserverpb_TxnRequest()
    for fence in response.kvs where response.header.revision - fence.modRevision > age.removed {
      guard let name = keys.name(ofFence: [UInt8](fence.key)), name != self.name else { continue }
      // One that was raised meanwhile is in use.
      removal.compare.append(.modified([UInt8](fence.key), at: fence.modRevision))
      removal.success += self.removal(of: name)
    }
    if !removal.compare.isEmpty { _ = try await keyValues.transact(removal) }
  }
}

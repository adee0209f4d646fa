// SPDX-License-Identifier: Apache-2.0
import ZSSP

extension StoreCore {
  /// A row needs up to five operations, and etcd takes 128 in one transaction.
  private static let groupSize = 20

  private typealias Group = ArraySlice<(key: PublicKey, value: RatchetRow)>

  func store(_ rows: [PublicKey: RatchetRow], replaces: Bool) async throws(EtcdStoreError) {
    let all = rows.sorted { $0.key < $1.key }
    let groups = stride(from: 0, to: all.count, by: Self.groupSize).map { start in
      all[start..<min(start + Self.groupSize, all.count)]
    }
    if !replaces {
      // Nothing is stored if a conflict is known in advance.
      var conflicts = 0
      for group in groups {
        conflicts += try await repeated { () async throws(CallFailure) -> Int? in
          try await fence.settle()
          return Self.conflicts(group, try await read(group.map(\.key), mark: nil).held)
        }
      }
      guard conflicts == 0 else { throw .conflict(peers: conflicts) }
    }
    for group in groups {
      do throws(EtcdStoreError) {
        try await store(group, replaces: replaces)
      } catch {
        guard group.startIndex > 0 else { throw error }
        throw .incomplete(stored: group.startIndex, of: all.count, reason: "\(error)")
      }
    }
  }

  /// Returns the number of peers with other ratchets than those to be stored.
  private static func conflicts(_ group: Group, _ held: [HeldRow]) -> Int {
    zip(group, held).count { entry, held in !held.row.isEmpty && held.row.pair != entry.value.pair }
  }

  /// Stores a group of rows, once. The outcome of a write without an answer is determined, because
  /// others may have changed the rows since.
  private func store(_ group: Group, replaces: Bool) async throws(EtcdStoreError) {
    let mark = keys.mark(fence.name, .name())
    var attempt: Int64?
    var usesMark = false
    defer { if usesMark { state.withLock { $0.marks.append(mark) } } }
    try await repeated { () async throws(CallFailure) -> Void? in
      let fence = try await fence.raised()
      let found = try await read(group.map(\.key), mark: mark)
      switch attempt.flatMap({ found.mark?.fate(fence: $0) }) {
      case .done: return ()
      case .notKnowable: throw .refused(.notKnown)
      case .notDone, nil: attempt = nil
      }
      let conflicts = replaces ? 0 : Self.conflicts(group, found.held)
      guard conflicts == 0 else { throw .refused(.conflict(peers: conflicts)) }
      var request = Etcdserverpb_TxnRequest()
      request.compare = [.created(keys.head, at: head.revision), .modified(self.fence.key, at: fence)]
      for ((peer, row), held) in zip(group, found.held) {
        request.compare.append(.modified(keys.peer(peer), at: held.revision))
        request.success += try change(row, over: held, of: peer, by: .name())
      }
      request.success.append(.put(mark, [1]))
      usesMark = true
      do throws(CallFailure) {
        let isDone = try await keyValues.transact(request).succeeded
        if !isDone { await self.fence.fall(fence, isInDoubt: false) }
        return isDone ? () : nil
      } catch {
        if case .unknown = error {
          attempt = fence
          await self.fence.fall(fence, isInDoubt: true)
        }
        throw error
      }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

extension StoreCore {
  /// Executes a request, and reports when etcd starts to fail.
  func answer(_ request: StoreRequest) async -> StoreAnswer {
    let answer: StoreAnswer
    do throws(EtcdStoreError) {
      guard !state.withLock({ $0.isClosed }) else { throw .closed }
      answer =
        switch request {
        case .lookUp(let first, let second): try await lookUp(first, second)
        case .load(let peer): try await load(peer).answer
        case .compareAndSwap(let peer, let expected, let new, let start):
          try await swap(peer, expected, new, since: start)
        case .revoke(let name, let peer): try await revoke(name, peer).answer
        }
    } catch {
      report(error)
      answer = .failed
    }
    let hasRecovered = state.withLock { state in
      if case .compareAndSwap = request { state.statistics.swaps += 1 }
      state.statistics.requests += 1
      guard case .failed = answer else {
        defer { state.isFailureReported = false }
        return state.isFailureReported
      }
      state.statistics.failures += 1
      return false
    }
    if hasRecovered { recovered() }
    return answer
  }

  private func load(_ peer: PublicKey) async throws(EtcdStoreError) -> RatchetRow {
    try await repeated { () async throws(CallFailure) -> RatchetRow? in
      try await fence.settle()
      return try await read(peer).row
    }
  }

  /// Makes two calls if the index has an entry for a tag, otherwise one. Both tags are read at one
  /// revision. The row is read later, also at one moment: if it has neither state then, the state
  /// is no longer stored.
  private func lookUp(_ first: Fingerprint, _ second: Fingerprint) async throws(EtcdStoreError) -> StoreAnswer {
    let tags = [first, second].compactMap { codec.tag($0) }
    guard !tags.isEmpty else { return .unknown }
    return try await repeated { () async throws(CallFailure) -> StoreAnswer? in
      try await fence.settle()
      var request = Etcdserverpb_TxnRequest()
      request.compare = [.created(keys.head, at: head.revision)]
      request.success = tags.map { tag in
        .range(Etcdserverpb_RangeRequest(prefix: keys.tag(tag), limit: 8, keysOnly: true))
      }
      let response = try await keyValues.transact(request)
      guard response.succeeded, response.responses.count == tags.count else {
        throw .refused(.replaced(prefix: options.prefix))
      }
      for entry in response.responses.flatMap(\.responseRange.kvs) {
        guard let peer = Keys.peer(in: entry.key) else { throw .refused(.damaged(reason: "an entry of the index")) }
        let pair = try await read(peer).row.pair
        if let state = pair.state(first) ?? pair.state(second) { return .found(state, peer: peer) }
      }
      return .unknown
    }
  }

  /// Swaps a pair. Exactly one of several writes that start from the same row is executed. The
  /// outcome of a write without an answer is determined.
  private func swap(
    _ peer: PublicKey, _ expected: RatchetPair, _ new: RatchetPair, since start: UInt64?
  ) async throws(EtcdStoreError) -> StoreAnswer {
    let name = [UInt8].name()
    let mark = keys.mark(fence.name, name)
    var attempt: Attempt?
    var raced: HeldRow?
    var usesMark = false
    defer { if usesMark { state.withLock { $0.marks.append(mark) } } }
    return try await repeated { () async throws(CallFailure) -> StoreAnswer? in
      let fence = try await fence.raised()
      var held = HeldRow()
      if let known = raced {
        held = known
        raced = nil
      } else {
        let found = try await read([peer], mark: usesMark ? mark : nil)
        held = found.held[0]
        // The fence was raised after the attempt, so an attempt that was not executed never will
        // be.
        switch attempt?.fate(now: held, mark: found.mark) {
        case .done: return .swapped
        case .notKnowable: throw .refused(.notKnown)
        case .notDone, nil: attempt = nil
        }
      }
      var row = held.row
      guard row.swap(expected: expected, new: new, since: start) else { return .notSwapped }
      // Without a row before or after the write, the row cannot show the outcome.
      let isMarked = held.revision == 0 || row.isEmpty
      usesMark = usesMark || isMarked
      do throws(CallFailure) {
        raced = try await write(
          row, over: held, of: peer, by: name, mark: isMarked ? mark : nil, fence: fence)
        return raced == nil ? .swapped : nil
      } catch {
        if case .unknown = error { attempt = Attempt(name: name, base: held, isMarked: isMarked, fence: fence) }
        throw error
      }
    }
  }

  /// Revokes a state. Repetition is harmless, because a name that is in the row stays there.
  private func revoke(_ name: Fingerprint, _ peer: PublicKey) async throws(EtcdStoreError) -> RatchetRow {
    try await repeated { () async throws(CallFailure) -> RatchetRow? in
      let fence = try await fence.raised()
      let held = try await read(peer)
      var row = held.row
      guard row.revoke(name) else { return row }
      let raced = try await write(row, over: held, of: peer, by: .name(), mark: nil, fence: fence)
      return raced == nil ? row : nil
    }
  }
}

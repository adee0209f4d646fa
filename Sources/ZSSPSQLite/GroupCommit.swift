// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import GRDB
  import ZSSP

  /// A change that waits for its commit.
  struct PendingChange: Sendable {
    let peer: PublicKey
    let kind: Kind
    let answer: CheckedContinuation<StoreAnswer, Never>

    enum Kind: Sendable {
      case swap(expected: RatchetPair, new: RatchetPair, since: UInt64? = nil)
      case revoke(Fingerprint)
    }

    /// Makes the change in the peer's row. Returns the answer, and true if the row must be written.
    func make(in row: inout RatchetRow) -> (answer: StoreAnswer, isChange: Bool) {
      switch kind {
      case .swap(let expected, let new, let start):
        let isSwapped = row.swap(expected: expected, new: new, since: start)
        return (isSwapped ? .swapped : .notSwapped, isSwapped)
      case .revoke(let name):
        let isChange = row.revoke(name)
        return (row.answer, isChange)
      }
    }
  }

  // Changes are queued, and one commit takes all that have arrived during the one before. They are
  // made in the order of arrival, each on the result of those before it, and are answered after the
  // commit has returned.
  extension StoreCore {
    // [RAT-6]
    /// Makes a change. Answers when it is durable, or has turned out to change nothing.
    func change(_ peer: PublicKey, kind: PendingChange.Kind) async -> StoreAnswer {
      await withCheckedContinuation { continuation in
        let change = PendingChange(peer: peer, kind: kind, answer: continuation)
        let (isTaken, isFirst) = state.withLock { state in
          guard !state.isClosing else { return (false, false) }
          state.changes.append(change)
          state.statistics.waiting = state.changes.count
          defer { state.isWriting = true }
          return (true, !state.isWriting)
        }
        guard isTaken else { return continuation.resume(returning: fail()) }
        if isFirst { queue.async { self.drain() } }
      }
    }

    /// Makes one commit, and then the next if changes have arrived. Between two, other work on the
    /// queue has its turn.
    private func drain() {
      if drainOnce() { queue.async { self.drain() } }
    }

    /// Makes all waiting changes. Call it on `queue`.
    func drainAll() {
      while drainOnce() {}
    }

    /// Commits waiting changes once.
    ///
    /// - Returns: true if more changes wait.
    private func drainOnce() -> Bool {
      let limit = options.groupCommit ? max(1, options.commitLimit) : 1
      let changes = state.withLock { state in
        let changes = Array(state.changes.prefix(limit))
        state.changes.removeFirst(changes.count)
        state.statistics.waiting = state.changes.count
        return changes
      }
      // `close()` may have made the changes already.
      let answers = changes.isEmpty ? [] : commit(changes)
      let isMore = state.withLock { state in
        state.statistics.swaps += changes.count
        state.isWriting = !state.changes.isEmpty
        return state.isWriting
      }
      for (change, answer) in zip(changes, answers) { change.answer.resume(returning: answer) }
      return isMore
    }

    private func commit(_ changes: [PendingChange]) -> [StoreAnswer] {
      let connection: Connection
      do { connection = try connected() } catch { return failAll(changes, error: error) }
      do {
        let outcome = try connection.writer.writeWithoutTransaction { database in
          try run(changes, rows: connection.rows, in: database)
        }
        state.withLock { state in
          state.statistics.failures += outcome.damage == nil ? 0 : 1
          guard outcome.isCommitted else { return }
          state.statistics.commits += 1
          state.statistics.largestCommit = max(state.statistics.largestCommit, changes.count)
        }
        if let damage = outcome.damage {
          report(.damaged(path: path, reason: damage.description), in: .writing)
        } else if outcome.isCommitted {
          committed()
        }
        if outcome.isCommitted { scheduleErasure() }
        return outcome.answers
      } catch {
        // It is unknown if the changes took effect.
        discard(connection)
        return failAll(changes, error: SQLiteStoreError(error, path: path))
      }
    }

    private struct Outcome {
      var answers: [StoreAnswer] = []
      var isCommitted = false
      var damage: DamagedRow?
    }

    /// Makes the changes in one transaction, each with its own answer.
    private func run(_ changes: [PendingChange], rows: Rows, in database: Database) throws -> Outcome {
      var outcome = Outcome()
      try database.inTransaction(.immediate) {
        for change in changes {
          do {
            var row = try rows.row(of: change.peer, in: database)
            let (answer, isChange) = change.make(in: &row)
            if isChange {
              try rows.store(row, for: change.peer, in: database)
              outcome.isCommitted = true
            }
            outcome.answers.append(answer)
          } catch let damage as DamagedRow {
            // A damaged row does not affect the changes of other peers.
            outcome.damage = damage
            outcome.answers.append(.failed)
          }
        }
        guard outcome.isCommitted else { return .rollback }
        try options.willCommit?(changes.count)
        return .commit
      }
      return outcome
    }

    private func failAll(_ changes: [PendingChange], error: SQLiteStoreError) -> [StoreAnswer] {
      report(error, in: .writing)
      state.withLock { $0.statistics.failures += changes.count }
      return changes.map { _ in .failed }
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import GRDB
  import ZSSP

  /// A swap that waits for its commit.
  struct PendingSwap: Sendable {
    let peer: PublicKey
    let expected: RatchetPair
    let new: RatchetPair
    let answer: CheckedContinuation<StoreAnswer, Never>
  }

  // Swaps are queued, and one commit takes all that have come while the one before was under way. They are done in the
  // order in which they came, each on what those before it have left, and are answered when the commit has returned.
  extension StoreCore {
    /// Answers when the swap is durable, or is known to do nothing.
    func swap(_ peer: PublicKey, _ expected: RatchetPair, _ new: RatchetPair) async -> StoreAnswer {
      await withCheckedContinuation { continuation in
        let isFirst = state.withLock { state in
          state.swaps.append(PendingSwap(peer: peer, expected: expected, new: new, answer: continuation))
          state.statistics.waiting = state.swaps.count
          defer { state.isWriting = true }
          return !state.isWriting
        }
        if isFirst { queue.async { self.drain() } }
      }
    }

    /// One commit, and then the next if swaps have come. Between two, others have their turn on the queue.
    private func drain() {
      let limit = options.groupCommit ? max(1, options.commitLimit) : 1
      let swaps = state.withLock { state in
        let swaps = Array(state.swaps.prefix(limit))
        state.swaps.removeFirst(swaps.count)
        state.statistics.waiting = state.swaps.count
        return swaps
      }
      let answers = commit(swaps)
      let isMore = state.withLock { state in
        state.statistics.swaps += swaps.count
        state.isWriting = !state.swaps.isEmpty
        return state.isWriting
      }
      for (swap, answer) in zip(swaps, answers) { swap.answer.resume(returning: answer) }
      if isMore { queue.async { self.drain() } }
    }

    private func commit(_ swaps: [PendingSwap]) -> [StoreAnswer] {
      let connection: Connection
      do { connection = try connected() } catch { return failAll(swaps, error) }
      do {
        let outcome = try connection.writer.writeWithoutTransaction { database in
          try run(swaps, connection.rows, database)
        }
        state.withLock { state in
          state.statistics.failures += outcome.damage == nil ? 0 : 1
          guard outcome.isCommitted else { return }
          state.statistics.commits += 1
          state.statistics.largestCommit = max(state.statistics.largestCommit, swaps.count)
        }
        if let damage = outcome.damage {
          report(.damaged(path: path, reason: damage.description))
        } else {
          worked()
        }
        if outcome.isCommitted { scheduleErasure() }
        return outcome.answers
      } catch {
        // Whether it took effect is unknown.
        discard(connection)
        return failAll(swaps, SQLiteStoreError(error, path: path))
      }
    }

    private struct Outcome {
      var answers: [StoreAnswer] = []
      var isCommitted = false
      var damage: DamagedRow?
    }

    /// The swaps in one transaction, each with an answer of its own.
    private func run(_ swaps: [PendingSwap], _ rows: Rows, _ database: Database) throws -> Outcome {
      var outcome = Outcome()
      try database.inTransaction(.immediate) {
        for swap in swaps {
          do {
            guard try rows.pair(of: swap.peer, in: database) == swap.expected else {
              outcome.answers.append(.notSwapped)
              continue
            }
            try rows.store(swap.new, for: swap.peer, in: database)
            outcome.answers.append(.swapped)
            outcome.isCommitted = true
          } catch let damage as DamagedRow {
            // The swaps of other peers are none the worse for it.
            outcome.damage = damage
            outcome.answers.append(.failed)
          }
        }
        guard outcome.isCommitted else { return .rollback }
        try options.willCommit?(swaps.count)
        return .commit
      }
      return outcome
    }

    private func failAll(_ swaps: [PendingSwap], _ error: SQLiteStoreError) -> [StoreAnswer] {
      report(error)
      state.withLock { $0.statistics.failures += swaps.count }
      return swaps.map { _ in .failed }
    }
  }
#endif

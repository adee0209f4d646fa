// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPSQLite

  @Suite("What comes while a commit is under way", .tags(.slow), .timeLimit(.minutes(20)))
  struct OrderTests {
    private struct Refused: Error {}

    /// Swaps whose first commit is held back until all of them wait.
    private func swaps(
      _ store: SQLiteRatchetStore, gate: Gate, swaps: [(peer: PublicKey, expected: RatchetPair, new: RatchetPair)]
    ) async throws -> [Task<StoreAnswer, Never>] {
      var tasks: [Task<StoreAnswer, Never>] = []
      for (index, swap) in swaps.enumerated() {
        tasks.append(Task { await store.swap(swap.peer, from: swap.expected, to: swap.new) })
        if index == 0 { while !gate.isReached { try await Task.sleep(for: .milliseconds(1)) } }
        while store.statistics.waiting < index { try await Task.sleep(for: .milliseconds(1)) }
      }
      return tasks
    }

    private func values(_ tasks: [Task<StoreAnswer, Never>]) async -> [StoreAnswer] {
      var values: [StoreAnswer] = []
      for task in tasks { values.append(await task.value) }
      return values
    }

    /// Each swap expects what the one before it has left, and they need several commits.
    @Test func changesAreMadeInTheOrderOfTheirComing() async throws {
      let database = try Database()
      let gate = Gate()
      let peer = try Sample.peer(1)
      let store = try database.open { options in
        options.commitLimit = 2
        options.willCommit = { _ in gate.pass() }
      }
      func pair(_ number: UInt64) -> RatchetPair { number == 0 ? .empty : RatchetPair(Sample.state(number)) }
      let tasks = try await swaps(store, gate: gate, swaps: (0..<8).map { (peer, pair($0), pair($0 + 1)) })
      gate.open()
      #expect(await values(tasks).allSatisfy(\.isSwapped))
      #expect(store.statistics.commits == 5)
      #expect(await store.load(peer) == pair(8))
      try await store.close()
    }

    /// A row that cannot be read fails its own change, and no other of the same commit.
    @Test func aDamagedRowFailsNoOtherChangeOfItsCommit() async throws {
      let database = try Database()
      let gate = Gate()
      let damaged = try Sample.peer(1)
      let first = try Sample.peer(2)
      let good = try Sample.peer(3)
      let filled = try database.open()
      #expect(await filled.swap(damaged, from: .empty, to: RatchetPair(Sample.state(1))).isSwapped)
      try await filled.close()
      try database.edit("UPDATE peers SET secrets1 = x'00'")
      let store = try database.open { $0.willCommit = { _ in gate.pass() } }
      let new = RatchetPair(Sample.state(2))
      let tasks = try await swaps(
        store, gate: gate, swaps: [(first, .empty, new), (damaged, .empty, new), (good, .empty, new)])
      gate.open()
      let answers = await values(tasks)
      #expect(answers[0].isSwapped && answers[1].isFailed && answers[2].isSwapped)
      #expect(await store.load(good) == new)
      try await store.close()
    }

    /// A read before a commit that failed may have returned what the commit has replaced on the
    /// disk.
    @Test func aReadAcrossAFailedCommitFails() async throws {
      let database = try Database()
      let gate = Gate()
      let peer = try Sample.peer(1)
      let isBroken = Shared(false)
      let isWatched = Shared(false)
      let store = try database.open { options in
        options.willCommit = { _ in if isBroken.value { throw Refused() } }
        options.didRead = { if isWatched.value { gate.pass() } }
      }
      let held = RatchetPair(Sample.state(1))
      #expect(await store.swap(peer, from: .empty, to: held).isSwapped)
      isWatched.change { $0 = true }
      let loaded = Task { await store.load(peer) }
      while !gate.isReached { try await Task.sleep(for: .milliseconds(1)) }
      isBroken.change { $0 = true }
      #expect(await store.swap(peer, from: held, to: RatchetPair(Sample.state(2))).isFailed)
      isBroken.change { $0 = false }
      gate.open()
      #expect(await loaded.value == nil)
      // The next read uses another connection, which reads what is on the disk.
      #expect(await store.load(peer) == held)
      try await store.close()
    }

    /// ``SQLiteRatchetStore/close()`` promises the answers to what was asked for before.
    @Test func closingAnswersTheSwapsThatWait() async throws {
      let database = try Database()
      let gate = Gate()
      let store = try database.open { $0.willCommit = { _ in gate.pass() } }
      let tasks = try await swaps(
        store, gate: gate, swaps: (1...3).map { (try Sample.peer($0), .empty, RatchetPair(Sample.state(UInt64($0)))) })
      async let closed: Void = store.close()
      // Whatever is asked for from now on fails.
      while await store.load(try Sample.peer(9)) != nil { try await Task.sleep(for: .milliseconds(1)) }
      #expect(await store.swap(try Sample.peer(9), from: .empty, to: RatchetPair(Sample.state(9))).isFailed)
      gate.open()
      #expect(await values(tasks).allSatisfy(\.isSwapped))
      try await closed
      let reopened = try database.open()
      #expect(try await reopened.rows().count == 3)
      try await reopened.close()
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Foundation
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPSQLite

  @Suite("Group commit, and commits that fail", .tags(.slow), .timeLimit(.minutes(20)))
  struct GroupCommitTests {
    private struct Refused: Error {}

    /// One swap whose commit is held back, and `count` that come meanwhile. Gives the answers to
    /// these.
    private func crowd(_ store: SQLiteRatchetStore, gate: Gate, count: UInt8) async throws -> [StoreAnswer] {
      let first = Task { await store.swap(try Sample.peer(255), from: .empty, to: RatchetPair(Sample.state(255))) }
      while !gate.isReached { try await Task.sleep(for: .milliseconds(1)) }
      return try await withThrowingTaskGroup(of: StoreAnswer.self) { group in
        for number in 0..<count {
          group.addTask {
            await store.swap(try Sample.peer(number), from: .empty, to: RatchetPair(Sample.state(UInt64(number) + 1)))
          }
        }
        while store.statistics.waiting < Int(count) { try await Task.sleep(for: .milliseconds(1)) }
        gate.open()
        _ = try await first.value
        return try await group.reduce(into: []) { $0.append($1) }
      }
    }

    @Test(arguments: [UInt8(1), 16, 200])
    func swapsThatComeDuringACommitShareTheNext(count: UInt8) async throws {
      let database = try Database()
      let gate = Gate()
      let store = try database.open { $0.willCommit = { _ in gate.pass() } }
      let answers = try await crowd(store, gate: gate, count: count)
      #expect(answers.count == Int(count) && answers.allSatisfy(\.isSwapped))
      let statistics = store.statistics
      #expect(statistics.commits == 2 && statistics.largestCommit == Int(count))
      #expect(statistics.swaps == Int(count) + 1 && statistics.waiting == 0)
      try await store.close()
    }

    @Test func withoutItEachSwapHasACommit() async throws {
      let database = try Database()
      let gate = Gate()
      let store = try database.open { options in
        options.groupCommit = false
        options.willCommit = { _ in gate.pass() }
      }
      #expect(try await crowd(store, gate: gate, count: 20).allSatisfy(\.isSwapped))
      #expect(store.statistics.commits == 21 && store.statistics.largestCommit == 1)
      try await store.close()
    }

    @Test func aCommitHasALimit() async throws {
      let database = try Database()
      let gate = Gate()
      let store = try database.open { options in
        options.commitLimit = 8
        options.willCommit = { _ in gate.pass() }
      }
      #expect(try await crowd(store, gate: gate, count: 20).allSatisfy(\.isSwapped))
      #expect(store.statistics.commits == 4 && store.statistics.largestCommit == 8)
      try await store.close()
    }

    /// Swaps of one commit see each other in their order: of those that expect the same pair the
    /// first wins.
    @Test func swapsOfOneCommitSeeEachOther() async throws {
      let database = try Database()
      let gate = Gate()
      let peer = try Sample.peer(1)
      let store = try database.open { $0.willCommit = { _ in gate.pass() } }
      let first = Task { await store.swap(try Sample.peer(2), from: .empty, to: RatchetPair(Sample.state(9))) }
      while !gate.isReached { try await Task.sleep(for: .milliseconds(1)) }
      var tasks: [Task<StoreAnswer, Never>] = []
      for (expected, new) in [(0, 1), (0, 2), (1, 3), (1, 4), (3, 5)] as [(UInt64, UInt64)] {
        let pair = expected == 0 ? RatchetPair.empty : RatchetPair(Sample.state(expected))
        tasks.append(Task { await store.swap(peer, from: pair, to: RatchetPair(Sample.state(new))) })
        while store.statistics.waiting < tasks.count { try await Task.sleep(for: .milliseconds(1)) }
      }
      gate.open()
      var wins: [Bool] = []
      for task in tasks { wins.append(await task.value.isSwapped) }
      #expect(wins == [true, false, true, false, true])
      #expect(try await first.value.isSwapped)
      #expect(await store.load(peer) == RatchetPair(Sample.state(5)))
      #expect(store.statistics.commits == 2)
      try await store.close()
    }

    @Test func aCommitThatFailsFailsForAll() async throws {
      let database = try Database()
      let gate = Gate()
      let isBroken = Shared(true)
      let reports = Shared<[SQLiteStoreError]>([])
      let store = try database.open { options in
        options.onFailure = { error in reports.change { $0.append(error) } }
        options.willCommit = { count in
          gate.pass()
          if count > 1, isBroken.value { throw Refused() }
        }
      }
      #expect(try await crowd(store, gate: gate, count: 20).allSatisfy(\.isFailed))
      #expect(store.statistics.failures == 20 && store.statistics.commits == 1)
      // The store goes on, and what was answered before is there.
      #expect(await store.load(try Sample.peer(255)) == RatchetPair(Sample.state(255)))
      for number in UInt8(0)..<20 { #expect(await store.load(try Sample.peer(number)) == .empty) }
      #expect(await store.swap(try Sample.peer(0), from: .empty, to: RatchetPair(Sample.state(1))).isSwapped)
      #expect(reports.value.count == 1)
      try await store.close()
    }

    @Test func aFailureIsReportedOnceUntilItWorksAgain() async throws {
      let database = try Database()
      let isBroken = Shared(false)
      let reports = Shared(0)
      let store = try database.open { options in
        options.onFailure = { _ in reports.change { $0 += 1 } }
        options.willCommit = { _ in if isBroken.value { throw Refused() } }
      }
      var held = RatchetPair.empty
      for outage in 1...2 {
        isBroken.change { $0 = true }
        for _ in 0..<3 {
          #expect(await store.swap(try Sample.peer(1), from: held, to: RatchetPair(Sample.state(9))).isFailed)
        }
        #expect(reports.value == outage)
        isBroken.change { $0 = false }
        let new = RatchetPair(Sample.state(UInt64(outage)))
        #expect(await store.swap(try Sample.peer(1), from: held, to: new).isSwapped)
        held = new
      }
      try await store.close()
    }

    /// An empty database in its place would be a downgrade for every peer.
    @Test func aDatabaseThatIsGoneIsNotReplaced() async throws {
      let database = try Database()
      let isBroken = Shared(false)
      let store = try database.open { options in
        // What erases opens the database again, and goes on with it.
        options.eraseAfter = .seconds(1000)
        options.willCommit = { _ in if isBroken.value { throw Refused() } }
      }
      #expect(await store.swap(try Sample.peer(1), from: .empty, to: RatchetPair(Sample.state(1))).isSwapped)
      isBroken.change { $0 = true }
      #expect(await store.swap(try Sample.peer(1), from: RatchetPair(Sample.state(1)), to: .empty).isFailed)
      isBroken.change { $0 = false }
      for suffix in ["", "-wal", "-shm"] { _ = remove(database.path + suffix) }
      #expect(await store.load(try Sample.peer(1)) == nil)
      #expect(await store.swap(try Sample.peer(2), from: .empty, to: RatchetPair(Sample.state(2))).isFailed)
      #expect(access(database.path, F_OK) != 0)
      try await store.close()
    }

    @Test func aClosedStoreAnswersThatItFailed() async throws {
      let database = try Database()
      let store = try database.open()
      try await store.close()
      try await store.close()
      #expect(await store.load(try Sample.peer(1)) == nil)
      #expect(await store.answer(.lookUp(Sample.state(1).fingerprint)).isFailed)
      #expect(await store.swap(try Sample.peer(1), from: .empty, to: RatchetPair(Sample.state(1))).isFailed)
      await #expect(throws: SQLiteStoreError.closed(path: database.path)) { try await store.check() }
    }
  }
#endif

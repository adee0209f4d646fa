// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import GRDB
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPSQLite

  @Suite("What becomes of keys that were replaced", .tags(.slow), .timeLimit(.minutes(20)))
  struct ErasureTests {
    private struct Refused: Error {}

    private func isDue(_ store: SQLiteRatchetStore) -> Bool { store.core.state.withLock { $0.isErasureDue } }

    /// Another connection, which reads until its transaction ends.
    private func beginReading(_ database: Database) throws -> DatabaseQueue {
      var configuration = Configuration()
      configuration.allowsUnsafeTransactions = true
      let reader = try DatabaseQueue(path: database.path, configuration: configuration)
      try reader.inDatabase { database in
        try database.beginTransaction(.deferred)
        #expect(try Int.fetchOne(database, sql: "SELECT count(*) FROM peers") == 1)
      }
      return reader
    }

    private func endReading(_ reader: DatabaseQueue) throws {
      try reader.inDatabase { database in try database.commit() }
      try reader.close()
    }

    /// A reader keeps the pages that it reads in the log. What cannot be erased now is not said to
    /// be erased.
    @Test func erasureThatAReaderHoldsUpIsAnError() async throws {
      let database = try Database()
      let peer = try Sample.peer(1)
      let first = RatchetPair(Sample.state(1))
      let second = RatchetPair(Sample.state(2))
      let store = try database.open { $0.eraseAfter = .seconds(1000) }
      #expect(await store.swap(peer, from: .empty, to: first).isSwapped)
      let reader = try beginReading(database)
      #expect(await store.swap(peer, from: first, to: second).isSwapped)
      await #expect(throws: SQLiteStoreError.self) { try await store.erase() }
      try endReading(reader)
      try await store.erase()
      #expect(try !database.bytes().contains(Sample.state(1).keyBytes))
      try await store.close()
    }

    /// An erasure that failed is repeated later, and later swaps have a time of their own.
    @Test func erasureThatFailedIsDueAgain() async throws {
      let database = try Database()
      let peer = try Sample.peer(1)
      let first = RatchetPair(Sample.state(1))
      let second = RatchetPair(Sample.state(2))
      let store = try database.open { $0.eraseAfter = .seconds(1000) }
      let core = store.core
      #expect(await store.swap(peer, from: .empty, to: first).isSwapped)
      let reader = try beginReading(database)
      #expect(await store.swap(peer, from: first, to: second).isSwapped)
      core.queue.sync { core.eraseIfDue() }
      #expect(isDue(store))
      try endReading(reader)
      core.queue.sync { core.eraseIfDue() }
      #expect(!isDue(store))
      #expect(try !database.bytes().contains(Sample.state(1).keyBytes))
      #expect(await store.swap(peer, from: second, to: first).isSwapped)
      #expect(isDue(store))
      try await store.close()
    }

    /// A commit that failed may have left in the log what it was to replace.
    @Test func erasureIsDueAfterACommitThatFailed() async throws {
      let database = try Database()
      let peer = try Sample.peer(1)
      let isBroken = Shared(false)
      let held = RatchetPair(Sample.state(1))
      let store = try database.open { options in
        options.eraseAfter = .seconds(1000)
        options.willCommit = { _ in if isBroken.value { throw Refused() } }
      }
      let core = store.core
      #expect(await store.swap(peer, from: .empty, to: held).isSwapped)
      core.queue.sync { core.eraseIfDue() }
      #expect(!isDue(store))
      isBroken.change { $0 = true }
      #expect(await store.swap(peer, from: held, to: RatchetPair(Sample.state(2))).isFailed)
      #expect(isDue(store))
      core.queue.sync { core.eraseIfDue() }
      #expect(!isDue(store))
      isBroken.change { $0 = false }
      try await store.close()
    }

    /// A forgotten peer leaves neither keys nor a trace of its identity.
    @Test func aSwapToNothingLeavesNothingOfThePeer() async throws {
      let database = try Database()
      let peer = try Sample.peer(0x77)
      let held = RatchetPair(Sample.state(1))
      let store = try database.open { $0.eraseAfter = .seconds(1000) }
      #expect(await store.swap(peer, from: .empty, to: held).isSwapped)
      #expect(try database.bytes().contains(peer.array))
      #expect(await store.swap(peer, from: held, to: .empty).isSwapped)
      #expect(try await store.rows().isEmpty)
      try await store.erase()
      #expect(try !database.bytes().contains(peer.array))
      try await store.close()
    }

    /// An import replaces keys as swaps do.
    @Test func erasureIsDueAfterSwapsAndAfterImports() async throws {
      let database = try Database()
      let peer = try Sample.peer(1)
      for isImport in [false, true] {
        let store = try database.open { $0.eraseAfter = .seconds(1000) }
        #expect(!isDue(store))
        let new = RatchetPair(Sample.state(isImport ? 2 : 1))
        if isImport {
          try await store.store([peer: RatchetRow(new)], replaces: true)
        } else {
          #expect(await store.swap(peer, from: .empty, to: new).isSwapped)
        }
        #expect(isDue(store))
        try await store.close()
      }
      #expect(try !database.bytes().contains(Sample.state(1).keyBytes))
    }
  }
#endif

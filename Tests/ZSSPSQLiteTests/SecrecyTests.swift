// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Foundation
  import GRDB
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPSQLite

  @Suite("What a database gives away, and damaged rows", .tags(.slow), .timeLimit(.minutes(20)))
  struct SecrecyTests {
    private func filled(_ database: Database, key: Secret? = nil) async throws -> SQLiteRatchetStore {
      let store = try database.open { options in
        options.key = key
        options.eraseAfter = .seconds(1000)
      }
      for number in UInt8(1)...3 {
        let pair = RatchetPair(Sample.state(UInt64(number) * 2), Sample.state(UInt64(number) * 2 + 1))
        #expect(await store.swap(try Sample.peer(number), from: .empty, to: pair).isSwapped)
      }
      return store
    }

    @Test func anEncryptedStoreHasNeitherKeysNorFingerprints() async throws {
      let database = try Database()
      let store = try await filled(database, key: Sample.key)
      for _ in 0..<2 {
        let bytes = try database.bytes()
        for number in UInt64(2)...7 {
          #expect(!bytes.contains(Sample.state(number).keyBytes))
          #expect(!bytes.contains(Sample.state(number).fingerprint.bytes))
        }
        #expect(!bytes.contains([UInt8](repeating: 0x5a, count: 32)))
        try await store.erase()
      }
      try await store.close()
    }

    @Test func noIndexHasAKeyOrAFingerprint() async throws {
      let database = try Database()
      try await filled(database).close()
      let bytes = try database.bytes()
      // Each once, in its row, and not in an index as well.
      for number in UInt64(2)...7 {
        #expect(bytes.ranges(of: Sample.state(number).keyBytes).count == 1)
        #expect(bytes.ranges(of: Sample.state(number).fingerprint.bytes).count == 1)
      }
      let queue = try DatabaseQueue(path: database.path)
      let columns = try await queue.read { database in
        try String.fetchAll(
          database,
          sql: """
            SELECT DISTINCT info.name FROM sqlite_master AS master, pragma_index_info(master.name) AS info
            WHERE master.type = 'index' ORDER BY info.name
            """)
      }
      #expect(columns.allSatisfy { ["name", "peer", "tag1", "tag2"].contains($0) } && columns.contains("tag1"))
      try queue.close()
    }

    @Test func tagsOfTwoStoresHaveNothingInCommon() async throws {
      var tags: [Data] = []
      for _ in 0..<2 {
        let database = try Database()
        try await filled(database).close()
        let queue = try DatabaseQueue(path: database.path)
        tags += try await queue.read {
          try Data.fetchAll($0, sql: "SELECT tag1 FROM peers UNION SELECT tag2 FROM peers")
        }
        try queue.close()
      }
      #expect(tags.count == 12 && Set(tags).count == 12 && tags.allSatisfy { $0.count == 32 })
    }

    @Test func replacedKeysAreErasedWithoutBeingAsked() async throws {
      let database = try Database()
      let peer = try Sample.peer(1)
      let store = try database.open { $0.eraseAfter = .zero }
      #expect(await store.swap(peer, from: .empty, to: RatchetPair(Sample.state(1))).isSwapped)
      #expect(await store.swap(peer, from: RatchetPair(Sample.state(1)), to: RatchetPair(Sample.state(2))).isSwapped)
      let replaced = Sample.state(1).keyBytes
      // The suite's time limit ends this if it never comes.
      while try database.bytes().contains(replaced) { try await Task.sleep(for: .milliseconds(1)) }
      #expect(await store.load(peer) == RatchetPair(Sample.state(2)))
      try await store.close()
    }

    /// An attacker who can write to the file, and has no key, exchanges rows or columns.
    @Test(arguments: [
      "UPDATE peers SET secrets1 = (SELECT secrets1 FROM peers WHERE substr(peer, 2, 1) = x'02') WHERE substr(peer, 2, 1) = x'01'",
      "UPDATE peers SET secrets1 = secrets2, secrets2 = secrets1 WHERE substr(peer, 2, 1) = x'01'",
      "UPDATE peers SET chain1 = chain1 + 1 WHERE substr(peer, 2, 1) = x'01'",
    ])
    func exchangedRecordsAreNotTaken(sql: String) async throws {
      let database = try Database()
      try await filled(database, key: Sample.key).close()
      try database.edit(sql)
      try await expectOneDamagedRow(database, key: Sample.key)
    }

    @Test(arguments: [
      "secrets1 = x'00'", "secrets1 = 7", "secrets1 = 'text'", "chain1 = 'text'", "chain2 = NULL", "secrets2 = NULL",
    ])
    func aDamagedRowHarmsNoOther(change: String) async throws {
      let database = try Database()
      try await filled(database).close()
      try database.edit("UPDATE peers SET \(change) WHERE substr(peer, 2, 1) = x'01'")
      try await expectOneDamagedRow(database, key: nil)
    }

    private func expectOneDamagedRow(_ database: Database, key: Secret?) async throws {
      let reports = Shared(0)
      let store = try database.open { options in
        options.key = key
        options.onFailure = { _ in reports.change { $0 += 1 } }
      }
      let damaged = try Sample.peer(1)
      let good = try Sample.peer(3)
      let held = RatchetPair(Sample.state(2), Sample.state(3))
      #expect(await store.load(damaged) == nil)
      #expect(await store.swap(damaged, from: held, to: .empty).isFailed)
      #expect(await store.answer(.lookUp(Sample.state(2).fingerprint)).isFailed)
      #expect(reports.value == 1)
      #expect(await store.load(good) == RatchetPair(Sample.state(6), Sample.state(7)))
      #expect(await store.swap(good, from: RatchetPair(Sample.state(6), Sample.state(7)), to: .empty).isSwapped)
      let problems = try await store.check()
      #expect(
        problems.contains { $0.contains(damaged.description) } && !problems.contains { $0.contains(good.description) })
      await #expect(throws: SQLiteStoreError.self) { try await store.rows() }
      try await store.close()
    }

    @Test func pairsAreStoredTogetherOrNotAtAll() async throws {
      let database = try Database()
      let store = try await filled(database)
      let rows = [
        try Sample.peer(1): RatchetRow(RatchetPair(Sample.state(20))),
        try Sample.peer(8): RatchetRow(
          RatchetPair(Sample.state(21)), revoked: RevokedStates([Sample.state(22).fingerprint])),
      ]
      await #expect(throws: SQLiteStoreError.conflict(path: database.path, peers: 1)) {
        try await store.store(rows, replaces: false)
      }
      #expect(await store.load(try Sample.peer(8)) == .empty)
      try await store.store(rows, replaces: true)
      for (peer, row) in rows { #expect(try await store.rows()[peer] == row) }
      #expect(try await store.rows().count == 4)
      #expect(try await store.check() == [])
      // The same state for two peers is what a check is for.
      try await store.store([try Sample.peer(9): RatchetRow(RatchetPair(Sample.state(20)))], replaces: false)
      #expect(try await store.check().count == 1)
      try await store.close()
    }
  }
#endif

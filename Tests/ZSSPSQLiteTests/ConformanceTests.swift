// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import CPowerCut
  import Testing
  import ZSSPTestSupport
  import ZSSP
  import ZSSPSQLite
  import ZSSPStoreTesting

  /// An SQLite database for the conformance suite, on the file system that can fail.
  private struct SQLiteMedium: StoreMedium {
    let database: Database
    let failure: Int
    let change: @Sendable (inout SQLiteStoreOptions) -> Void

    init(failure: Int = POWERCUT_BROKEN, _ change: @escaping @Sendable (inout SQLiteStoreOptions) -> Void = { _ in })
      throws
    {
      #expect(powercut_register() == 1)
      database = try Database()
      self.failure = failure
      self.change = change
    }

    func open() throws -> any RatchetStore {
      try database.open { options in
        options.fileSystem = "powercut"
        change(&options)
      }
    }

    func close(_ store: any RatchetStore) async throws { try await (store as? SQLiteRatchetStore)?.close() }

    func contents(of store: any RatchetStore) async throws -> [UInt8]? {
      try await (store as? SQLiteRatchetStore)?.erase()
      return try database.bytes()
    }

    func setFailing(_ isFailing: Bool) -> Bool {
      powercut_fail(database.folder, Int32(isFailing ? failure : POWERCUT_WORKS))
      return true
    }

    /// The log holds the commit, and cannot be synced.
    func setFailingAfterEffect(_ isFailing: Bool) -> Bool {
      powercut_fail(database.folder, Int32(isFailing ? POWERCUT_UNSYNCED : POWERCUT_WORKS))
      return true
    }
  }

  @Suite("The contract of ratchet stores, over SQLite", .tags(.slow), .timeLimit(.minutes(20)))
  struct ConformanceTests {
    @Test(arguments: StoreConformance.cases)
    func plain(_ rule: StoreConformance) async throws {
      #expect(try await rule.run(on: SQLiteMedium()) == .passed)
    }

    @Test(arguments: StoreConformance.cases)
    func encrypted(_ rule: StoreConformance) async throws {
      #expect(try await rule.run(on: SQLiteMedium { $0.key = Sample.key }) == .passed)
    }

    @Test(arguments: StoreConformance.cases)
    func oneCommitPerSwap(_ rule: StoreConformance) async throws {
      #expect(try await rule.run(on: SQLiteMedium { $0.groupCommit = false }) == .passed)
    }

    @Test(arguments: StoreConformance.cases, [POWERCUT_FULL, POWERCUT_UNSYNCED])
    func disksThatFailInOtherWays(_ rule: StoreConformance, failure: Int) async throws {
      guard rule.name.contains("fails") else { return }
      #expect(try await rule.run(on: SQLiteMedium(failure: failure)) == .passed)
    }
  }
#endif

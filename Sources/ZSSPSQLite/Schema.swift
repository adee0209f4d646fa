// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import GRDB

  /// The layout of the database, as steps from one version to the next. The version is SQLite's
  /// `user_version`.
  struct Schema: Sendable {
    /// "ZSSP", at the place of a database file that identifies its program.
    static let applicationID: Int32 = 0x5a53_5350

    /// Step n takes a database from version n to n + 1.
    var steps: [@Sendable (Database) throws -> Void]

    /// The version after all steps.
    var version: Int { steps.count }

    /// The layout that this version of the package writes.
    static let current = Schema(steps: [createTables, addRevoked])

    /// Creates the tables. A row of `peers` has, for each state of a peer, its secrets (key and
    /// fingerprint, optionally encrypted), its chain length, and a tag that finds it. The indexes
    /// contain tags but no other secret.
    private static let createTables: @Sendable (Database) throws -> Void = { database in
      try database.execute(
        sql: """
          CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
          CREATE TABLE peers (
            peer BLOB PRIMARY KEY CHECK (length(peer) = 49),
            secrets1 BLOB NOT NULL, chain1 INTEGER NOT NULL, tag1 BLOB,
            secrets2 BLOB, chain2 INTEGER, tag2 BLOB
          ) WITHOUT ROWID;
          CREATE INDEX peers_tag1 ON peers (tag1) WHERE tag1 IS NOT NULL;
          CREATE INDEX peers_tag2 ON peers (tag2) WHERE tag2 IS NOT NULL;
          """)
    }

    /// Adds the names of the peer's revoked states, 32 bytes each, optionally encrypted together.
    private static let addRevoked: @Sendable (Database) throws -> Void = { database in
      try database.execute(sql: "ALTER TABLE peers ADD COLUMN given_up BLOB")
    }

    /// Converts a database of an older version to the newest: all steps or none.
    func migrate(_ database: Database) throws {
      guard try Self.version(of: database) < version else { return }
      try database.inTransaction(.immediate) {
        for step in steps[try Self.version(of: database)...] { try step(database) }
        try database.execute(sql: "PRAGMA user_version = \(version)")
        return .commit
      }
    }

    /// Checks that a database is a ratchet store that this version can use. Writes nothing.
    func check(_ database: Database, path: String, readsAll: Bool) throws {
      guard try Int32.fetchOne(database, sql: "PRAGMA application_id") == Self.applicationID else {
        throw SQLiteStoreError.notOurs(path: path)
      }
      let found = try Self.version(of: database)
      guard found <= version else { throw SQLiteStoreError.newer(path: path, version: found, known: version) }
      guard found > 0, try database.tableExists("meta"), try database.tableExists("peers") else {
        throw SQLiteStoreError.damaged(path: path, reason: "tables are missing")
      }
      if readsAll, let problem = try Self.problems(in: database, check: "quick_check", limit: 1).first {
        throw SQLiteStoreError.damaged(path: path, reason: problem)
      }
    }

    /// Returns the faults that SQLite finds in the pages and, unless `check` is `quick_check`, in
    /// the indexes; at most `limit`.
    static func problems(
      in database: Database, check: String = "integrity_check", limit: Int
    ) throws -> [String] {
      try String.fetchAll(database, sql: "PRAGMA \(check)(\(limit))").filter { $0 != "ok" }
    }

    private static func version(of database: Database) throws -> Int {
      try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import GRDB

  /// The layout of the database, as steps from one version to the next. The version is SQLite's `user_version`.
  struct Schema: Sendable {
    /// "ZSSP", in the place where a database file says what program it belongs to.
    static let applicationID: Int32 = 0x5a53_5350

    /// Step n takes a database from version n to n + 1.
    var steps: [@Sendable (Database) throws -> Void]

    /// The version that the steps lead to.
    var version: Int { steps.count }

    /// The layout that this version of the package writes.
    static let current = Schema(steps: [createTables, addRevoked])

    /// A row of `peers` is what is stored for one peer: for each state its secrets (key and fingerprint, maybe
    /// encrypted), its chain length, and a tag by which it is found. An index holds tags and nothing else that is secret.
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

    /// The names of states that the peer has given up, 32 bytes each, maybe encrypted together.
    private static let addRevoked: @Sendable (Database) throws -> Void = { database in
      try database.execute(sql: "ALTER TABLE peers ADD COLUMN given_up BLOB")
    }

    /// Makes the newest version of a database of an older one: all steps or none.
    func migrate(_ database: Database) throws {
      guard try Self.version(of: database) < version else { return }
      try database.inTransaction(.immediate) {
        for step in steps[try Self.version(of: database)...] { try step(database) }
        try database.execute(sql: "PRAGMA user_version = \(version)")
        return .commit
      }
    }

    /// Checks that a database is one of ours that this version can use. Writes nothing.
    func check(_ database: Database, path: String, readsAll: Bool) throws {
      guard try Int32.fetchOne(database, sql: "PRAGMA application_id") == Self.applicationID else {
        throw SQLiteStoreError.notOurs(path: path)
      }
      let found = try Self.version(of: database)
      guard found <= version else { throw SQLiteStoreError.newer(path: path, version: found, known: version) }
      guard found > 0, try database.tableExists("meta"), try database.tableExists("peers") else {
        throw SQLiteStoreError.damaged(path: path, reason: "tables are missing")
      }
      if readsAll, let problem = try Self.problems(database, "quick_check", limit: 1).first {
        throw SQLiteStoreError.damaged(path: path, reason: problem)
      }
    }

    /// What SQLite finds wrong with the pages and, unless it is a `quick_check`, the indexes; at most so many things.
    static func problems(
      _ database: Database, _ check: String = "integrity_check", limit: Int
    ) throws -> [String] {
      try String.fetchAll(database, sql: "PRAGMA \(check)(\(limit))").filter { $0 != "ok" }
    }

    private static func version(of database: Database) throws -> Int {
      try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Foundation
  import GRDB
  import ZSSP
  import ZSSPStoreCodec

  /// An open database: one connection that writes and one that reads beside it, so that no look-up waits for a commit.
  ///
  /// SQLite shows a transaction to readers when its commit is synced, not before.
  final class Connection: Sendable {
    let writer: DatabaseQueue
    let reader: DatabaseQueue
    let rows: Rows

    /// Opens a database, or first makes one where there is none. What is not ours, newer, damaged or encrypted under another
    /// key is refused before anything is written.
    ///
    /// - Parameters:
    ///   - isFirst: whether the store has not been open before.
    ///   - creates: whether one is made. A store that was open and is gone is not replaced by an empty one.
    init(
      _ file: StoreFile, _ provider: any CryptoProvider, _ options: SQLiteStoreOptions, isFirst: Bool, creates: Bool
    ) throws(SQLiteStoreError) {
      let path = file.path
      do {
        if !FileManager.default.fileExists(atPath: path) {
          guard creates else { throw SQLiteStoreError.noAccess(path: path, reason: "the file is gone") }
          try file.create { temporary throws(SQLiteStoreError) in
            do { try Self.fill(temporary, provider, options) } catch { throw SQLiteStoreError(error, path: path) }
          }
        }
        let name = Self.name(path, options)
        let check = try DatabaseQueue(path: name, configuration: Self.readerConfiguration())
        let codec = try check.unsafeRead { database in
          // All pages once; an outage of a large store would take long if they were read again for each attempt.
          try options.schema.check(database, path: path, readsAll: isFirst)
          return try Self.codec(of: database, path, provider, options)
        }
        try check.close()
        writer = try DatabaseQueue(path: name, configuration: Self.writerConfiguration(options))
        try writer.writeWithoutTransaction { database in
          try options.schema.migrate(database)
          try Self.erase(database)
        }
        reader = try DatabaseQueue(path: name, configuration: Self.readerConfiguration())
        rows = Rows(codec: codec)
      } catch {
        throw SQLiteStoreError(error, path: path)
      }
    }

    func close() throws {
      // The last connection that is closed removes the log, which a reader cannot. It is closed whatever becomes of the other.
      let closed = Result { try reader.close() }
      try writer.close()
      try closed.get()
    }

    /// Moves all of the log into the database and leaves it empty: then no replaced page is left, and everything that can
    /// be read is synced.
    static func erase(_ database: Database) throws {
      let row = try Row.fetchOne(database, sql: "PRAGMA wal_checkpoint(TRUNCATE)")
      guard row?[0] == 0 else { throw DatabaseError(resultCode: .SQLITE_BUSY, message: "the log is being read") }
    }

    private static func name(_ path: String, _ options: SQLiteStoreOptions) -> String {
      guard let fileSystem = options.fileSystem else { return path }
      let characters = CharacterSet.urlPathAllowed
      return "file:\(path.addingPercentEncoding(withAllowedCharacters: characters) ?? path)?vfs=\(fileSystem)"
    }

    private static func readerConfiguration() -> Configuration {
      var configuration = Configuration()
      configuration.readonly = true
      configuration.busyMode = .timeout(1)
      configuration.label = "zssp ratchets, reading"
      return configuration
    }

    private static func writerConfiguration(_ options: SQLiteStoreOptions) -> Configuration {
      let level = options.syncsCommits ? 2 : 0
      var configuration = Configuration()
      configuration.busyMode = .timeout(1)
      configuration.label = "zssp ratchets, writing"
      configuration.prepareDatabase { database in
        // Of the log each commit is synced, on Apple's systems down to the medium; what is deleted is overwritten.
        try database.execute(
          sql: """
            PRAGMA journal_mode = WAL; PRAGMA synchronous = \(level); PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
            PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
            """)
        guard try String.fetchOne(database, sql: "PRAGMA journal_mode") == "wal",
          try Int.fetchOne(database, sql: "PRAGMA synchronous") == level
        else { throw DatabaseError(resultCode: .SQLITE_ERROR, message: "the file system has no write-ahead log") }
      }
      return configuration
    }

    /// Writes a new database: everything with a journal, so that it is all in the file when it is closed, and then
    /// says that it has a write-ahead log from now on.
    private static func fill(_ path: String, _ provider: any CryptoProvider, _ options: SQLiteStoreOptions) throws {
      var configuration = Configuration()
      configuration.prepareDatabase { database in
        try database.execute(sql: "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;")
      }
      let queue = try DatabaseQueue(path: path, configuration: configuration)
      try queue.writeWithoutTransaction { database in
        try database.execute(sql: "PRAGMA application_id = \(Schema.applicationID)")
        try options.schema.migrate(database)
        let kept = SecretsCodec.make(provider, key: options.key).kept
        try database.execute(sql: "INSERT INTO meta VALUES ('tag key', ?)", arguments: [Data(kept)])
        try database.execute(sql: "PRAGMA journal_mode = WAL")
      }
      try queue.close()
    }

    /// What reads the rows of the database, if the key is right.
    private static func codec(
      of database: Database, _ path: String, _ provider: any CryptoProvider, _ options: SQLiteStoreOptions
    ) throws -> SecretsCodec {
      let value = try DatabaseValue.fetchOne(database, sql: "SELECT value FROM meta WHERE name = 'tag key'")
      guard let kept = value.flatMap(Data.fromDatabaseValue).map(Array.init) else {
        throw SQLiteStoreError.damaged(path: path, reason: "the key of its tags is missing")
      }
      switch (SecretsCodec.isEncrypted(kept: kept), options.key) {
      case (true, nil): throw SQLiteStoreError.keyNeeded(path: path)
      case (false, .some): throw SQLiteStoreError.keyNotNeeded(path: path)
      default: break
      }
      guard let codec = SecretsCodec(provider, key: options.key, kept: kept) else {
        throw SQLiteStoreError.wrongKey(path: path)
      }
      return codec
    }
  }
#endif

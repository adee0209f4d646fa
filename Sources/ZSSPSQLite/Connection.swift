// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Foundation
  import GRDB
  import ZSSP
  import ZSSPStoreCodec

  /// An open database: one connection that writes, and one that reads beside it, so that no look-up
  /// waits for a commit.
  ///
  /// SQLite shows a transaction to readers after its commit was synced, not before.
  final class Connection: Sendable {
    let writer: DatabaseQueue
    let reader: DatabaseQueue
    let rows: Rows

    /// Opens a database, or first creates it if it is missing. A file that is not a ratchet store,
    /// newer, damaged or encrypted with another key is refused before anything is written.
    ///
    /// - Parameters:
    ///   - file: the locked file.
    ///   - provider: derives tags and encrypts states.
    ///   - options: the options of the store.
    ///   - isFirst: true if the store has not been open before.
    ///   - creates: true to create a missing file. A store that was open and disappeared is not
    ///     replaced by an empty one.
    init(
      _ file: StoreFile, provider: any CryptoProvider, options: SQLiteStoreOptions, isFirst: Bool, creates: Bool
    ) throws(SQLiteStoreError) {
      let path = file.path
      do {
        if !FileManager.default.fileExists(atPath: path) {
          guard creates else { throw SQLiteStoreError.noAccess(path: path, reason: "the file is gone") }
          try file.create { temporary throws(SQLiteStoreError) in
            do { try Self.fill(temporary, provider: provider, options: options) } catch {
              throw SQLiteStoreError(error, path: path)
            }
          }
        }
        let name = Self.name(path, options: options)
        let check = try DatabaseQueue(path: name, configuration: Self.readerConfiguration())
        let codec = try check.unsafeRead { database in
          // All pages are checked once only: checking them at each attempt would prolong an outage
          // of a large store.
          try options.schema.check(database, path: path, readsAll: isFirst)
          return try Self.codec(of: database, path: path, provider, options: options)
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
      // Closing the last connection removes the log, which a reader cannot do. The writer is closed
      // even if closing the reader fails.
      let closed = Result { try reader.close() }
      try writer.close()
      try closed.get()
    }

    /// Moves the whole log into the database and empties it. After that no replaced page is left,
    /// and everything that can be read is synced.
    static func erase(_ database: Database) throws {
      let row = try Row.fetchOne(database, sql: "PRAGMA wal_checkpoint(TRUNCATE)")
      guard row?[0] == 0 else { throw DatabaseError(resultCode: .SQLITE_BUSY, message: "the log is being read") }
    }

    private static func name(_ path: String, options: SQLiteStoreOptions) -> String {
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
        // Each commit to the log is synced, on Apple's systems down to the medium. Deleted content
        // is overwritten.
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

    /// Writes a new database. It uses a journal at first, so that the closed file has everything,
    /// and then switches the file to a write-ahead log.
    private static func fill(_ path: String, provider: any CryptoProvider, options: SQLiteStoreOptions) throws {
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

    /// Returns the codec for the rows of the database, if the key is right.
    private static func codec(
      of database: Database, path: String, _ provider: any CryptoProvider, options: SQLiteStoreOptions
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

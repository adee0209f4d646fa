// SPDX-License-Identifier: Apache-2.0
#if SQLite
  public import ZSSP

  /// Ratchet states in an SQLite database: durable, for any number of peers, and for thousands of swaps a second.
  ///
  /// The file is made if there is none, and is readable by its owner only. Each swap is synced to the disk before it is
  /// answered; swaps that come at once share a commit. One store has the file at a time, in one process.
  ///
  /// ```swift
  /// func bind(_ configuration: EndpointConfiguration) async throws -> UDPEndpoint {
  ///   let store = try SQLiteRatchetStore(path: "/var/lib/zssp/ratchets.db", provider: .swiftCrypto)
  ///   return try await .bind(host: "::", port: 4000, configuration: configuration, store: store)
  /// }
  /// ```
  public final class SQLiteRatchetStore: RatchetStore {
    let core: StoreCore

    /// Opens the database at `path`, or makes it. Reads and writes the disk before it returns.
    ///
    /// - Parameters:
    ///   - path: where the file is or will be, in a folder that exists and can be written to: the database keeps
    ///     its log and a lock in files beside it, `-wal`, `-shm` and `.lock`.
    ///   - provider: for the tags by which states are found, and the encryption if there is a key.
    ///   - options: whether states are encrypted, and how swaps are committed.
    /// - Throws: ``SQLiteStoreError``, which names the file and what to do; the file is as it was.
    public init(
      path: String, provider: any CryptoProvider, options: SQLiteStoreOptions = SQLiteStoreOptions()
    ) throws(SQLiteStoreError) {
      if let key = options.key, key.count != 32 { throw .keySize(key.count) }
      core = try StoreCore(path, provider, options)
    }

    deinit {
      // Whoever wants to know when it is closed calls `close()`, after which this finds nothing to do.
      let core = core
      core.willClose()
      core.queue.async {
        // Told even though it is closed: nobody else learns it.
        do throws(SQLiteStoreError) { try core.close() } catch { core.tell(error) }
      }
    }

    /// Does what is asked; a swap is durable when it is answered.
    public func answer(_ request: StoreRequest) async -> StoreAnswer {
      switch request {
      case .lookUp(let first, let second):
        await core.read { rows, database in try rows.find(first, second, in: database) }
      case .load(let peer): await core.read { rows, database in try rows.row(of: peer, in: database).answer }
      case .compareAndSwap(let peer, let expected, let new, let start):
        await core.change(peer, .swap(expected: expected, new: new, since: start))
      case .revoke(let name, let peer): await core.change(peer, .revoke(name))
      }
    }

    /// What the store has done since it was opened.
    public var statistics: SQLiteStoreStatistics { core.state.withLock { $0.statistics } }

    /// Where the file is, without symbolic links.
    public var path: String { core.path }

    /// Erases what swaps have replaced now, and not only after ``SQLiteStoreOptions/eraseAfter``.
    ///
    /// - Throws: ``SQLiteStoreError`` if the disk fails.
    public func erase() async throws(SQLiteStoreError) {
      let core = core
      try await core.onQueue { connection in try core.erase(connection) }
    }

    /// Closes the database when the swaps that were asked for are answered, and gives the file back. Later requests are
    /// answered ``StoreAnswer/failed``. A second call does nothing.
    ///
    /// - Throws: ``SQLiteStoreError`` if the log could not be moved into the database; nothing is lost then, and the next
    ///   store that opens it does so.
    public func close() async throws(SQLiteStoreError) {
      let core = core
      core.willClose()
      let result = await withCheckedContinuation { continuation in
        core.state.withLock { $0.isClosing = true }
        core.queue.async {
          core.drainAll()
          continuation.resume(returning: Result { () throws(SQLiteStoreError) in try core.close() })
        }
      }
      try result.get()
    }

    /// What is kept for each peer, at one moment.
    ///
    /// - Throws: ``SQLiteStoreError/damaged(path:reason:)`` if a row cannot be read, or what the disk says.
    public func rows() async throws(SQLiteStoreError) -> [PublicKey: RatchetRow] {
      try await core.onQueue { connection in
        try connection.writer.writeWithoutTransaction { database in
          var rows: [PublicKey: RatchetRow] = [:]
          try connection.rows.forEach(in: database) { result in
            let (peer, row) = try result.get()
            rows[peer] = row
          }
          return rows
        }
      }
    }

    /// Stores rows of several peers at once: all of them, durably, or none.
    ///
    /// - Parameter replaces: whether they take the place of others that are stored for these peers.
    /// - Throws: ``SQLiteStoreError/conflict(path:peers:)`` if not and there are any, or what the disk says.
    public func store(_ rows: [PublicKey: RatchetRow], replaces: Bool) async throws(SQLiteStoreError) {
      let core = core
      try await core.onQueue { connection in
        do {
          try connection.writer.writeWithoutTransaction { database in
            try database.inTransaction(.immediate) {
              let others = try rows.filter { peer, row in
                let held = try connection.rows.row(of: peer, in: database)
                return !held.isEmpty && held.pair != row.pair
              }
              guard replaces || others.isEmpty else {
                throw SQLiteStoreError.conflict(path: core.path, peers: others.count)
              }
              for (peer, row) in rows { try connection.rows.store(row, for: peer, in: database) }
              return .commit
            }
          }
        } catch let error as SQLiteStoreError {
          throw error
        } catch {
          core.discard(connection)
          throw error
        }
        core.scheduleErasure()
      }
    }

    /// What is wrong with the database: its pages, its indexes, rows that cannot be read, states that two peers have. Empty if
    /// all is well.
    ///
    /// - Throws: ``SQLiteStoreError`` if the disk fails.
    public func check() async throws(SQLiteStoreError) -> [String] {
      try await core.onQueue { connection in
        try connection.writer.writeWithoutTransaction { database in
          var problems = try Schema.problems(database, limit: 100)
          var owners: [Fingerprint: PublicKey] = [:]
          try connection.rows.forEach(in: database) { row in
            switch row {
            case .failure(let damaged): problems.append(damaged.description)
            case .success((let peer, let row)): problems += row.pair.problems(of: peer, &owners)
            }
          }
          return problems
        }
      }
    }
  }
#endif

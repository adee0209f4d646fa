// SPDX-License-Identifier: Apache-2.0
#if SQLite
  public import ZSSP

  /// A ratchet store in an SQLite database: durable, for any number of peers, and for thousands of
  /// swaps per second.
  ///
  /// The file is created if it is missing, and only its owner can read it. Each swap is synced to
  /// the disk before it is answered; concurrent swaps share a commit. Only one store, in one
  /// process, can have the file open.
  ///
  /// ```swift
  /// func bind(_ configuration: EndpointConfiguration) async throws -> UDPEndpoint {
  ///   let store = try SQLiteRatchetStore(path: "/var/lib/zssp/ratchets.db", provider: .swiftCrypto)
  ///   return try await .bind(host: "::", port: 4000, configuration: configuration, store: store)
  /// }
  /// ```
  public final class SQLiteRatchetStore: RatchetStore {
    let core: StoreCore

    /// Opens the database at `path`, or creates it. Blocks the thread during the disk access.
    ///
    /// - Parameters:
    ///   - path: the path of the file. Its folder must exist and be writable: the database has its
    ///     log and a lock in files beside it, `-wal`, `-shm` and `.lock`.
    ///   - provider: computes the tags that find states, and encrypts states if there is a key.
    ///   - options: the encryption of states, and how swaps are committed.
    /// - Throws: ``SQLiteStoreError``, which names the file and what to do. The file is not
    ///   changed.
    public init(
      path: String, provider: any CryptoProvider, options: SQLiteStoreOptions = SQLiteStoreOptions()
    ) throws(SQLiteStoreError) {
      if let key = options.key, key.count != 32 { throw .keySize(key.count) }
      core = try StoreCore(path, provider: provider, options: options)
    }

    deinit {
      // `close()` reports when it has finished; after it, this does nothing.
      let core = core
      core.willClose()
      core.queue.async {
        // Reported even though the store is released, because no caller would see the error.
        do throws(SQLiteStoreError) { try core.close() } catch { core.tell(error) }
      }
    }

    /// Executes a request. A swap or a revocation is durable when it is answered. May be called
    /// from several tasks at once.
    public func answer(_ request: StoreRequest) async -> StoreAnswer {
      switch request {
      case .lookUp(let first, let second):
        await core.read { rows, database in try rows.find(first, second, in: database) }
      case .load(let peer): await core.read { rows, database in try rows.row(of: peer, in: database).answer }
      case .compareAndSwap(let peer, let expected, let new, let start):
        await core.change(peer, kind: .swap(expected: expected, new: new, since: start))
      case .revoke(let name, let peer): await core.change(peer, kind: .revoke(name))
      }
    }

    /// Counters since the store was opened.
    public var statistics: SQLiteStoreStatistics { core.state.withLock { $0.statistics } }

    /// The path of the file, without symbolic links.
    public var path: String { core.path }

    /// Erases replaced keys now, without waiting for ``SQLiteStoreOptions/eraseAfter``.
    ///
    /// - Throws: ``SQLiteStoreError`` if the disk fails.
    public func erase() async throws(SQLiteStoreError) {
      let core = core
      try await core.onQueue { connection in try core.erase(connection) }
    }

    /// Closes the database after the waiting swaps were answered, and releases the file. Later
    /// requests are answered ``/ZSSP/StoreAnswer/failed``. A second call does nothing.
    ///
    /// - Throws: ``SQLiteStoreError`` if the log could not be moved into the database. Nothing is
    ///   lost then: the next store that opens the file moves it.
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

    /// Returns the row of each peer, at one moment.
    ///
    /// - Throws: ``SQLiteStoreError/damaged(path:reason:)`` if a row cannot be read, or another
    ///   error if the disk fails.
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
    /// - Parameters:
    ///   - rows: the rows to store.
    ///   - replaces: true to replace other rows that are stored for these peers.
    /// - Throws: ``SQLiteStoreError/conflict(path:peers:)`` if `replaces` is false and there are
    ///   others, or another error if the disk fails.
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

    /// Returns the faults of the database: in its pages and indexes, rows that cannot be read, and
    /// states that two peers have. Empty if there are none.
    ///
    /// - Throws: ``SQLiteStoreError`` if the disk fails.
    public func check() async throws(SQLiteStoreError) -> [String] {
      try await core.onQueue { connection in
        try connection.writer.writeWithoutTransaction { database in
          var problems = try Schema.problems(in: database, limit: 100)
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

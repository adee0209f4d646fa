// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Dispatch
  import GRDB
  import Synchronization
  import ZSSP

  /// The inside of a store: the connection, the thread that writes, and what happens when the disk fails.
  ///
  /// All writing, opening and closing happens on `queue`. Nobody knows what came of a commit that failed, so the
  /// connection that saw it is not asked again: until another is open, which reads what is really there and has synced it,
  /// every answer is `failed`.
  final class StoreCore: Sendable {
    let provider: any CryptoProvider
    let options: SQLiteStoreOptions
    let queue = DispatchQueue(label: "zssp ratchet store")
    let state: Mutex<State>
    let path: String

    struct State: Sendable {
      var file: StoreFile?
      /// None while the disk fails, and when the store is closed.
      var connection: Connection?
      /// One that saw a failure, to be closed before another is opened.
      var discarded: Connection?
      var changes: [PendingChange] = []
      var isWriting = false
      var isErasureDue = false
      var isFailureReported = false
      var statistics = SQLiteStoreStatistics()
    }

    init(_ path: String, _ provider: any CryptoProvider, _ options: SQLiteStoreOptions) throws(SQLiteStoreError) {
      let file = try StoreFile(path)
      (self.path, self.provider, self.options) = (file.path, provider, options)
      state = Mutex(
        State(file: file, connection: try Connection(file, provider, options, isFirst: true, creates: !file.exists)))
    }

    /// The connection, after another attempt to open it if there is none. To be called on `queue`.
    func connected() throws(SQLiteStoreError) -> Connection {
      let (file, connection, discarded) = state.withLock { state in
        defer { if state.connection == nil { state.discarded = nil } }
        return (state.file, state.connection, state.discarded)
      }
      if let connection { return connection }
      guard let file else { throw .closed(path: path) }
      if let discarded {
        // What it cannot do on a disk that fails does not matter: the next connection reads what is there.
        do { try discarded.close() } catch { report(SQLiteStoreError(error, path: path)) }
      }
      let new = try Connection(file, provider, options, isFirst: false, creates: false)
      state.withLock { $0.connection = new }
      return new
    }

    /// Lets go of a connection that saw a commit fail.
    func discard(_ connection: Connection) {
      state.withLock { state in
        guard state.connection === connection else { return }
        (state.connection, state.discarded) = (nil, connection)
      }
    }

    /// The disk fails. Said once, until ``worked()``.
    func report(_ error: SQLiteStoreError) {
      let isNew = state.withLock { state in
        defer { state.isFailureReported = true }
        return !state.isFailureReported && state.file != nil
      }
      if isNew { options.onFailure?(error) }
    }

    /// The disk works.
    func worked() { state.withLock { $0.isFailureReported = false } }

    /// Runs `body` on the thread that writes, with the connection.
    func onQueue<Result: Sendable>(
      _ body: @escaping @Sendable (Connection) throws -> Result
    ) async throws(SQLiteStoreError) -> Result {
      let path = path
      let result = await withCheckedContinuation { continuation in
        queue.async {
          continuation.resume(
            returning: Swift.Result { () throws(SQLiteStoreError) -> Result in
              let connection = try self.connected()
              do { return try body(connection) } catch { throw SQLiteStoreError(error, path: path) }
            })
        }
      }
      return try result.get()
    }

    /// Answers a question that changes nothing, as of a moment between its coming and its answer.
    func read(_ body: @escaping @Sendable (Rows, Database) throws -> StoreAnswer) async -> StoreAnswer {
      do {
        let current = state.withLock { $0.connection }
        let connection =
          if let current { current } else { try await onQueue { $0 } }
        let answer = try await read(connection, body)
        let isCurrent = state.withLock { state in
          state.statistics.reads += 1
          return state.connection === connection
        }
        // A commit failed meanwhile. This may be the state before it, and that after it may be what is on the disk.
        guard isCurrent else { return fail() }
        return answer
      } catch {
        report(SQLiteStoreError(error, path: path))
        return fail()
      }
    }

    /// Reads, whether the task that asks is cancelled or not. What `body` reads is one statement, hence of one moment.
    private func read(
      _ connection: Connection, _ body: @escaping @Sendable (Rows, Database) throws -> StoreAnswer
    ) async throws -> StoreAnswer {
      try await withCheckedThrowingContinuation { continuation in
        connection.reader.asyncUnsafeRead { database in
          continuation.resume(with: Result { try body(connection.rows, database.get()) })
        }
      }
    }

    private func fail() -> StoreAnswer {
      state.withLock { $0.statistics.failures += 1 }
      return .failed
    }

    /// Sees to it that what swaps have replaced is soon erased. The log that holds it is emptied in any case when
    /// the store is closed or opened.
    func scheduleErasure() {
      let isNew = state.withLock { state in
        defer { state.isErasureDue = true }
        return !state.isErasureDue
      }
      guard isNew else { return }
      let delay = min(max(options.eraseAfter, .zero), .seconds(86_400))
      queue.asyncAfter(deadline: .now() + .milliseconds(Int(delay / .milliseconds(1)))) { [weak self] in
        guard let self, let connection = state.withLock({ $0.connection }) else { return }
        do throws(SQLiteStoreError) {
          try erase(connection)
        } catch {
          report(error)
          // Later, then.
          scheduleErasure()
        }
      }
    }

    /// Erases now. To be called on `queue`.
    func erase(_ connection: Connection) throws(SQLiteStoreError) {
      state.withLock { $0.isErasureDue = false }
      do {
        try connection.writer.writeWithoutTransaction(Connection.erase)
      } catch {
        throw SQLiteStoreError(error, path: path)
      }
    }

    /// Gives everything back. To be called on `queue`.
    func close() throws(SQLiteStoreError) {
      let (file, connection) = state.withLock { state in
        defer { (state.file, state.connection, state.discarded) = (nil, nil, nil) }
        return (state.file, state.connection ?? state.discarded)
      }
      // The lock is held until the database is closed.
      defer { withExtendedLifetime(file) {} }
      guard let connection else { return }
      do { try connection.close() } catch { throw SQLiteStoreError(error, path: path) }
    }
  }
#endif

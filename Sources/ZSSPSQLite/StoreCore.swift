// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Dispatch
  import Foundation
  import GRDB
  import Synchronization
  import ZSSP
  import ZSSPFiles

  /// The implementation of a store: the connection, the writing thread, and the handling of disk
  /// failures.
  ///
  /// All writing, opening and closing happens on `queue`. The outcome of a failed commit is
  /// unknown, so its connection is not used again. Every answer is `failed` until a new connection
  /// is open, which reads what is really stored and has synced it.
  final class StoreCore: Sendable {
    let provider: any CryptoProvider
    let options: SQLiteStoreOptions
    let queue = DispatchQueue(label: "zssp ratchet store")
    let state: Mutex<State>
    let path: String

    /// An activity that can fail alone: on a full disk, reading works. The failure has ended when
    /// the same activity works again, or when a commit does.
    enum Activity { case reading, writing, erasing, readingDamage }

    struct State: Sendable {
      var file: StoreFile?
      /// Nil while the disk fails, and after the store was closed.
      var connection: Connection?
      /// A connection that saw a failure, to be closed before another is opened.
      var discarded: Connection?
      var changes: [PendingChange] = []
      var isWriting = false
      /// True after a call to close the store. No more changes are accepted.
      var isClosing = false
      var isErasureDue = false
      /// The activities that fail at present. Only the first failure of an outage is reported.
      var failing: Set<Activity> = []
      var statistics = SQLiteStoreStatistics()
    }

    init(_ path: String, provider: any CryptoProvider, options: SQLiteStoreOptions) throws(SQLiteStoreError) {
      let file = try StoreFile(path, trust: FileTrust(other: options.owner))
      self.path = file.path
      self.provider = provider
      self.options = options
      state = Mutex(
        State(
          file: file,
          connection: try Connection(file, provider: provider, options: options, isFirst: true, creates: !file.exists)))
      options.logger?.info(
        "ratchet store opened",
        metadata: [
          "zssp.store": "\(path)", "zssp.is_new": "\(!file.exists)", "zssp.is_encrypted": "\(options.key != nil)",
        ])
    }

    /// Returns the connection. If there is none, tries to open one. Call it on `queue`.
    func connected() throws(SQLiteStoreError) -> Connection {
      let (file, connection, discarded) = state.withLock { state in
        defer { if state.connection == nil { state.discarded = nil } }
        return (state.file, state.connection, state.discarded)
      }
      if let connection { return connection }
      guard let file else { throw .closed(path: path) }
      if let discarded {
        // Failures of closing on a failing disk do not matter: the next connection reads what is
        // stored.
        do { try discarded.close() } catch { report(SQLiteStoreError(error, path: path), in: .erasing) }
      }
      let new = try Connection(file, provider: provider, options: options, isFirst: false, creates: false)
      state.withLock { $0.connection = new }
      return new
    }

    /// Discards a connection that saw a commit fail. Another is opened for the next request, or
    /// when erasure is due, because the remains of this and earlier commits must not stay in the
    /// log.
    func discard(_ connection: Connection) {
      state.withLock { state in
        guard state.connection === connection else { return }
        state.connection = nil
        state.discarded = connection
      }
      scheduleErasure()
    }

    /// Reports a failure of the disk or the database, once per outage. An outage ends when
    /// everything works that had failed.
    func report(_ error: SQLiteStoreError, in activity: Activity) {
      let isNew = state.withLock { state in
        // A damaged row does not become readable because other rows are read.
        let failing = if case .damaged = error { Activity.readingDamage } else { activity }
        let isFirst = state.failing.isEmpty
        state.failing.insert(failing)
        return isFirst && state.file != nil
      }
      if isNew { tell(error) }
    }

    /// Logs a failure, and passes it to the failure handler.
    func tell(_ error: SQLiteStoreError) {
      options.logger?.error("the ratchet store fails", metadata: ["zssp.store": "\(path)", "zssp.reason": "\(error)"])
      options.onFailure?(error)
    }

    /// Announces that the store was released or closed, and will release its file soon.
    func willClose() { state.withLock { $0.file }?.willClose() }

    /// Records that a commit succeeded, which ends an outage.
    func committed() {
      let hasRecovered = state.withLock { state in
        defer { state.failing = [] }
        return !state.failing.isEmpty
      }
      if hasRecovered { options.logger?.notice("the ratchet store works again", metadata: ["zssp.store": "\(path)"]) }
    }

    /// Runs `body` on the writing thread, with the connection.
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

    /// Answers a request that changes nothing. The answer is true for a moment between request and
    /// answer.
    func read(_ body: @escaping @Sendable (Rows, Database) throws -> StoreAnswer) async -> StoreAnswer {
      do {
        let (current, isClosing) = state.withLock { ($0.connection, $0.isClosing) }
        if isClosing { return fail() }
        let connection =
          if let current { current } else { try await onQueue { $0 } }
        let answer = try await read(connection, body: body)
        let isCurrent = state.withLock { state in
          state.statistics.reads += 1
          state.failing.remove(.reading)
          return state.connection === connection
        }
        // A commit failed meanwhile. This answer may describe the state before it, while the disk
        // has the state after it.
        guard isCurrent else { return fail() }
        return answer
      } catch {
        report(SQLiteStoreError(error, path: path), in: .reading)
        return fail()
      }
    }

    /// Reads, even if the task is cancelled. `body` runs one statement, so it reads one moment.
    private func read(
      _ connection: Connection, body: @escaping @Sendable (Rows, Database) throws -> StoreAnswer
    ) async throws -> StoreAnswer {
      try await withCheckedThrowingContinuation { continuation in
        connection.reader.asyncUnsafeRead { [options] database in
          let result = Result { try body(connection.rows, database.get()) }
          options.didRead?()
          continuation.resume(with: result)
        }
      }
    }

    /// Returns the answer of a store that cannot execute a request, and counts it.
    func fail() -> StoreAnswer {
      state.withLock { $0.statistics.failures += 1 }
      return .failed
    }

    /// The shortest pause before another attempt to erase on a failing disk.
    private static let retryDelay = Duration.seconds(1)

    /// Schedules the erasure of replaced keys after ``SQLiteStoreOptions/eraseAfter``. The log that
    /// has them is also emptied when the store is closed or opened.
    func scheduleErasure(isRetry: Bool = false) {
      let isNew = state.withLock { state in
        defer { state.isErasureDue = true }
        return !state.isErasureDue && state.file != nil
      }
      guard isNew else { return }
      let delay = min(max(options.eraseAfter, isRetry ? Self.retryDelay : .zero), .seconds(86_400))
      queue.asyncAfter(deadline: .now() + .milliseconds(Int(delay / .milliseconds(1)))) { [weak self] in
        self?.eraseIfDue()
      }
    }

    /// Erases replaced keys if erasure is due, on a new connection if a commit failed on the
    /// previous one. Retries until it succeeds. Must be called on `queue`.
    func eraseIfDue() {
      let isOpen = state.withLock { state in
        // This is first, so that no failure prevents scheduling the next attempt.
        state.isErasureDue = false
        return state.file != nil
      }
      guard isOpen else { return }
      do throws(SQLiteStoreError) {
        try erase(connected())
        state.withLock { _ = $0.failing.remove(.erasing) }
      } catch {
        report(error, in: .erasing)
        scheduleErasure(isRetry: true)
      }
    }

    /// Erases now. Call it on `queue`.
    func erase(_ connection: Connection) throws(SQLiteStoreError) {
      do {
        try connection.writer.writeWithoutTransaction(Connection.erase)
      } catch {
        throw SQLiteStoreError(error, path: path)
      }
    }

    /// Empties the log and closes the database. Call it on `queue`.
    func close() throws(SQLiteStoreError) {
      guard state.withLock({ $0.file != nil }) else { return }
      var failure: SQLiteStoreError?
      do throws(SQLiteStoreError) {
        // After a failed commit a new connection is needed to empty the log. If the file is gone
        // there is nothing to empty.
        if access(path, F_OK) == 0 { try erase(connected()) }
      } catch {
        failure = error
      }
      let (file, connection) = state.withLock { state in
        defer {
          state.file = nil
          state.connection = nil
          state.discarded = nil
        }
        return (state.file, state.connection ?? state.discarded)
      }
      // The lock is held until the database is closed.
      defer { withExtendedLifetime(file) {} }
      do { try connection?.close() } catch { failure = failure ?? SQLiteStoreError(error, path: path) }
      options.logger?.debug("ratchet store closed", metadata: ["zssp.store": "\(path)"])
      if let failure { throw failure }
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Dispatch
  import Foundation
  import GRDB
  import Synchronization
  import ZSSP
  import ZSSPFiles

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

    /// What can fail by itself: on a full disk reading works. It has ended when the same works again, or a commit does.
    enum Activity { case reading, writing, erasing, readingDamage }

    struct State: Sendable {
      var file: StoreFile?
      /// None while the disk fails, and when the store is closed.
      var connection: Connection?
      /// One that saw a failure, to be closed before another is opened.
      var discarded: Connection?
      var changes: [PendingChange] = []
      var isWriting = false
      /// Whether somebody has asked to close it. No more changes are taken.
      var isClosing = false
      var isErasureDue = false
      /// What fails at present. Only the first failure of an outage is reported.
      var failing: Set<Activity> = []
      var statistics = SQLiteStoreStatistics()
    }

    init(_ path: String, _ provider: any CryptoProvider, _ options: SQLiteStoreOptions) throws(SQLiteStoreError) {
      let file = try StoreFile(path, FileTrust(other: options.owner))
      (self.path, self.provider, self.options) = (file.path, provider, options)
      state = Mutex(
        State(file: file, connection: try Connection(file, provider, options, isFirst: true, creates: !file.exists)))
      options.logger?.info(
        "ratchet store opened",
        metadata: [
          "zssp.store": "\(path)", "zssp.is_new": "\(!file.exists)", "zssp.is_encrypted": "\(options.key != nil)",
        ])
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
        do { try discarded.close() } catch { report(SQLiteStoreError(error, path: path), in: .erasing) }
      }
      let new = try Connection(file, provider, options, isFirst: false, creates: false)
      state.withLock { $0.connection = new }
      return new
    }

    /// Discards a connection that saw a commit fail. Another is opened by the next request, or when erasure is due: what the
    /// failed commit and those before it have left in the log must not stay there.
    func discard(_ connection: Connection) {
      state.withLock { state in
        guard state.connection === connection else { return }
        (state.connection, state.discarded) = (nil, connection)
      }
      scheduleErasure()
    }

    /// Reports that the disk or the database fails: once in an outage, which ends when everything works that failed.
    func report(_ error: SQLiteStoreError, in activity: Activity) {
      let isNew = state.withLock { state in
        // A damaged row does not become readable by others being read.
        let failing = if case .damaged = error { Activity.readingDamage } else { activity }
        let isFirst = state.failing.isEmpty
        state.failing.insert(failing)
        return isFirst && state.file != nil
      }
      if isNew { tell(error) }
    }

    /// Tells whoever wants to know of a failure.
    func tell(_ error: SQLiteStoreError) {
      options.logger?.error("the ratchet store fails", metadata: ["zssp.store": "\(path)", "zssp.reason": "\(error)"])
      options.onFailure?(error)
    }

    /// The store is released or closed, and gives its file back soon.
    func willClose() { state.withLock { $0.file }?.willClose() }

    /// Records that a commit was made, after which nothing is known to fail.
    func committed() {
      let hasRecovered = state.withLock { state in
        defer { state.failing = [] }
        return !state.failing.isEmpty
      }
      if hasRecovered { options.logger?.notice("the ratchet store works again", metadata: ["zssp.store": "\(path)"]) }
    }

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
        let (current, isClosing) = state.withLock { ($0.connection, $0.isClosing) }
        if isClosing { return fail() }
        let connection =
          if let current { current } else { try await onQueue { $0 } }
        let answer = try await read(connection, body)
        let isCurrent = state.withLock { state in
          state.statistics.reads += 1
          state.failing.remove(.reading)
          return state.connection === connection
        }
        // A commit failed meanwhile. This may be the state before it, and that after it may be what is on the disk.
        guard isCurrent else { return fail() }
        return answer
      } catch {
        report(SQLiteStoreError(error, path: path), in: .reading)
        return fail()
      }
    }

    /// Reads, whether the task that asks is cancelled or not. What `body` reads is one statement, hence of one moment.
    private func read(
      _ connection: Connection, _ body: @escaping @Sendable (Rows, Database) throws -> StoreAnswer
    ) async throws -> StoreAnswer {
      try await withCheckedThrowingContinuation { continuation in
        connection.reader.asyncUnsafeRead { [options] database in
          let result = Result { try body(connection.rows, database.get()) }
          options.didRead?()
          continuation.resume(with: result)
        }
      }
    }

    /// The answer of a store that cannot do it.
    func fail() -> StoreAnswer {
      state.withLock { $0.statistics.failures += 1 }
      return .failed
    }

    /// The shortest pause before another attempt to erase on a disk that fails.
    private static let retryDelay = Duration.seconds(1)

    /// Has what swaps have replaced erased after ``SQLiteStoreOptions/eraseAfter``. The log that holds it is emptied in any
    /// case when the store is closed or opened.
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

    /// Erases when the time has come, with a new connection if the one before saw a commit fail; tries again until it works. To be
    /// called on `queue`.
    func eraseIfDue() {
      let isOpen = state.withLock { state in
        // First, so that no failure keeps the next attempt from being scheduled.
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

    /// Erases now. To be called on `queue`.
    func erase(_ connection: Connection) throws(SQLiteStoreError) {
      do {
        try connection.writer.writeWithoutTransaction(Connection.erase)
      } catch {
        throw SQLiteStoreError(error, path: path)
      }
    }

    /// Empties the log and closes the database. To be called on `queue`.
    func close() throws(SQLiteStoreError) {
      guard state.withLock({ $0.file != nil }) else { return }
      var failure: SQLiteStoreError?
      do throws(SQLiteStoreError) {
        // A connection that saw a commit fail says nothing about what it leaves. Of a file that is gone nothing is left.
        if access(path, F_OK) == 0 { try erase(connected()) }
      } catch {
        failure = error
      }
      let (file, connection) = state.withLock { state in
        defer { (state.file, state.connection, state.discarded) = (nil, nil, nil) }
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

// SPDX-License-Identifier: Apache-2.0
#if SQLite
  public import Logging
  public import ZSSP

  /// How a ``SQLiteRatchetStore`` works.
  public struct SQLiteStoreOptions: Sendable {
    /// The key under which states are encrypted in the file, 32 bytes. Without one they are not, and the file's permissions
    /// are all that protects them. Whether a store is encrypted is decided when it is made.
    public var key: Secret?
    /// Whether swaps that come while one commit is under way share the next, so that many cost the disk no more than one.
    /// Otherwise each has a commit of its own.
    public var groupCommit = true
    /// The most swaps that share one commit.
    public var commitLimit = 1024
    /// How long after a swap the key that it replaced may still be found in the file: the replaced pages of the
    /// database's log are erased when this has passed, at most a day.
    public var eraseAfter = Duration.seconds(2)
    /// A user, beside root and the process's own, whose file is opened: whom the process becomes when it is open. A file of
    /// anybody else is refused. None by default.
    public var owner: UInt32?
    /// Where the store logs: that it is opened, that the disk or the database begins to fail, and that it works again. Never
    /// keys. Nowhere if nil, the default.
    public var logger: Logger?
    /// Is told when the disk or the database begins to fail: once, until it has worked again. Called on a thread of the store.
    public var onFailure: (@Sendable (SQLiteStoreError) -> Void)?

    /// For tests: which of SQLite's file systems to use, its default if none.
    package var fileSystem: String?
    /// For tests: called on the writing thread before a commit, with the number of swaps that share it. What it throws
    /// the commit fails with.
    package var willCommit: (@Sendable (Int) throws -> Void)?
    /// For tests: called on the reading thread between a read and its answer.
    package var didRead: (@Sendable () -> Void)?
    /// For tests: whether commits are synced, without which they do not survive a loss of power.
    package var syncsCommits = true
    /// For tests: the versions of the database's layout that are known.
    var schema = Schema.current

    /// The defaults: not encrypted, group commit.
    public init() {}
  }

  /// What a ``SQLiteRatchetStore`` has done since it was opened.
  public struct SQLiteStoreStatistics: Sendable, Hashable {
    /// Swaps that were asked for and are answered.
    public internal(set) var swaps = 0
    /// Commits that they took. With group commit there are fewer than swaps when many come at once.
    public internal(set) var commits = 0
    /// The most swaps that shared one commit.
    public internal(set) var largestCommit = 0
    /// Swaps that wait for the commit under way to end.
    public internal(set) var waiting = 0
    /// Loads and look-ups that are answered.
    public internal(set) var reads = 0
    /// Requests that were answered ``StoreAnswer/failed``.
    public internal(set) var failures = 0
  }
#endif

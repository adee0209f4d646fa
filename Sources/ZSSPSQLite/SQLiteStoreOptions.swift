// SPDX-License-Identifier: Apache-2.0
#if SQLite
  public import Logging
  public import ZSSP

  /// The options of a ``SQLiteRatchetStore``.
  public struct SQLiteStoreOptions: Sendable {
    /// The key that encrypts states in the file, 32 bytes. Nil, the default: states are not
    /// encrypted, and only the file's permissions protect them. A store is encrypted or not from
    /// its creation on.
    public var key: Secret?
    /// True, the default, if swaps that arrive during a commit share the next one, so that many
    /// cost the disk no more than one. With false each swap has its own commit.
    public var groupCommit = true
    /// The most swaps that share one commit. The default is 1024.
    public var commitLimit = 1024
    /// The time after a swap for which the replaced key may still be found in the file. Then the
    /// replaced pages of the database's log are erased. The default is 2 s, the largest value a
    /// day.
    public var eraseAfter = Duration.seconds(2)
    /// The id of a user, besides root and the process's own, whose file is accepted: the user that
    /// the process becomes later. A file of any other user is refused. Nil, the default, for none.
    public var owner: UInt32?
    /// The logger for events of the store: it was opened or closed, the disk or the database fails,
    /// and it works again. Keys are never logged. Nil, the default, for none.
    public var logger: Logger?
    /// Called when the disk or the database begins to fail, and not again until it has worked. It
    /// is called on a thread of the store.
    public var onFailure: (@Sendable (SQLiteStoreError) -> Void)?

    /// For tests: SQLite's file system to use; nil for its default.
    package var fileSystem: String?
    /// For tests: called on the writing thread before a commit, with the number of swaps in it. If
    /// it throws, the commit fails with that error.
    package var willCommit: (@Sendable (Int) throws -> Void)?
    /// For tests: called on the reading thread between a read and its answer.
    package var didRead: (@Sendable () -> Void)?
    /// For tests: false if commits are not synced; then they do not survive a loss of power.
    package var syncsCommits = true
    /// For tests: the known versions of the database's layout.
    var schema = Schema.current

    /// Creates the default options: not encrypted, group commit.
    public init() {}
  }

  /// Counters of a ``SQLiteRatchetStore`` since it was opened.
  public struct SQLiteStoreStatistics: Sendable, Hashable {
    /// Swaps and revocations that were answered.
    public internal(set) var swaps = 0
    /// Commits for them. With group commit there are fewer than swaps if many arrive at once.
    public internal(set) var commits = 0
    /// The most swaps that shared one commit.
    public internal(set) var largestCommit = 0
    /// Swaps that wait for a commit.
    public internal(set) var waiting = 0
    /// Loads and look-ups that were answered.
    public internal(set) var reads = 0
    /// Requests that were answered ``/ZSSP/StoreAnswer/failed``.
    public internal(set) var failures = 0
  }
#endif

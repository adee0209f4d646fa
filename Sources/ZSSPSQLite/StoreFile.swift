// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Dispatch
  import Foundation
  import Synchronization
  import ZSSPFiles

  /// The file of a store: its checks before SQLite uses it, and the lock that keeps other processes
  /// out.
  ///
  /// The lock is on a file beside the database, not on the database: when a process closes any
  /// descriptor of a file, it loses all locks of the kind that SQLite uses on it.
  final class StoreFile: Sendable {
    /// The path without symbolic links, so that all names of a file have one lock and one log.
    let path: String
    /// True if the file existed.
    let exists: Bool
    private let lock: Int32

    /// The files that stores of this process have open, by path.
    private static let open = Mutex<[String: OpenFile]>([:])

    /// A file that a store of this process has open.
    private final class OpenFile: Sendable {
      /// Left when the lock was released.
      let closed = DispatchGroup()
      /// True after the store was released or closed, so that the file will be free soon.
      let isClosing = Mutex(false)

      init() { closed.enter() }
    }

    /// Locks the file and checks it. It need not exist.
    ///
    /// - Parameters:
    ///   - given: its path.
    ///   - trust: the users whose files are accepted.
    init(_ given: String, trust: FileTrust = FileTrust()) throws(SQLiteStoreError) {
      // Never relative, because SQLite would interpret a name like file:x.
      do { path = try PathParts.resolve(given) } catch { throw .noAccess(path: given, reason: error.reason) }
      try Self.waitForOwnStore(path)
      let exists = try Self.exists(path, trust: trust)
      lock = try Self.lock(path)
      self.exists = exists
      Self.open.withLock { $0[path] = OpenFile() }
      guard exists else { return }
      try checkContent(trust)
    }

    deinit {
      // A process that is just being started has copies of all descriptors, and with them the lock,
      // until it runs its program.
      flock(lock, LOCK_UN)
      close(lock)
      Self.open.withLock { $0.removeValue(forKey: path) }?.closed.leave()
    }

    /// Announces that the store will release the file soon. A store of this process that opens the
    /// file waits for that.
    func willClose() { Self.open.withLock { $0[path] }?.isClosing.withLock { $0 = true } }

    /// Waits while a released or closed store of this process still has the file.
    ///
    /// - Throws: ``SQLiteStoreError/inUseHere(path:)`` if a store of this process has the file and
    ///   is not closing.
    private static func waitForOwnStore(_ path: String) throws(SQLiteStoreError) {
      while let other = open.withLock({ $0[path] }) {
        guard other.isClosing.withLock({ $0 }), other.closed.wait(timeout: .now() + patience) == .success else {
          throw .inUseHere(path: path)
        }
      }
    }

    /// The longest wait for a closing store. It empties its log, which takes milliseconds on a
    /// working disk.
    private static let patience = DispatchTimeInterval.seconds(10)

    /// The bytes at the start of a database file, which name the format.
    static let magic = Array("SQLite format 3\0".utf8)
    private static let headerSize = 100
    private static let applicationIDOffset = 68

    /// Returns true if the file exists. Checks it as far as possible without a descriptor, because
    /// closing one would release the locks of another store of this process.
    private static func exists(_ path: String, trust: FileTrust) throws(SQLiteStoreError) -> Bool {
      do throws(FileFailure) { try PrivateFile.checkFolder(of: path, trust: trust) } catch {
        throw .untrusted(path: path, reason: error.reason)
      }
      var status = stat()
      guard stat(path, &status) == 0 else {
        guard errno == ENOENT else { throw .noAccess(path: path, reason: SQLiteStoreError.systemReason) }
        return false
      }
      try check(status, of: path, trust: trust)
      guard status.st_mode & 0o200 != 0, access(path, W_OK) == 0 else {
        throw trust.user == 0 || status.st_uid == trust.user
          ? .readOnly(path: path)
          : .otherOwner(path: path, owner: UInt32(status.st_uid), user: trust.user)
      }
      return true
    }

    /// Checks the file's type, permissions and owner. Permissions count for root too, although root
    /// can write the file in any case.
    private static func check(_ status: stat, of path: String, trust: FileTrust) throws(SQLiteStoreError) {
      guard status.st_mode & S_IFMT == S_IFREG else { throw .notAFile(path: path) }
      let mode = UInt16(status.st_mode & 0o777)
      guard mode & 0o077 == 0 else { throw .exposed(path: path, mode: mode) }
      if let refusal = trust.refusal(of: path, owner: status.st_uid, mode: UInt32(mode)) {
        throw .untrusted(path: path, reason: refusal.reason)
      }
    }

    private static func lock(_ path: String) throws(SQLiteStoreError) -> Int32 {
      let descriptor = Foundation.open("\(path).lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
      guard descriptor >= 0 else {
        throw .noAccess(path: path, reason: "cannot create the lock beside it: \(SQLiteStoreError.systemReason)")
      }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        close(descriptor)
        throw open.withLock { $0[path] } == nil ? .inUse(path: path) : .inUseHere(path: path)
      }
      return descriptor
    }

    /// Checks the owner again, and the program that the file belongs to. A store is put into place
    /// as a whole, so its first page is never in the log only.
    private func checkContent(_ trust: FileTrust) throws(SQLiteStoreError) {
      let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
      guard descriptor >= 0 else { throw .noAccess(path: path, reason: SQLiteStoreError.systemReason) }
      defer { close(descriptor) }
      // Checked again, now that this process has the lock.
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { throw .noAccess(path: path, reason: SQLiteStoreError.systemReason) }
      try Self.check(status, of: path, trust: trust)
      var header = [UInt8](repeating: 0, count: Self.headerSize)
      guard read(descriptor, &header, header.count) == header.count, header.starts(with: Self.magic) else {
        throw .notOurs(path: path)
      }
      let identity = header[Self.applicationIDOffset..<Self.applicationIDOffset + 4].reduce(Int32(0)) {
        $0 << 8 | Int32($1)
      }
      guard identity == Schema.applicationID else { throw .notOurs(path: path) }
    }

    /// Creates a database. `fill` writes it to a file of another name, which then replaces the
    /// path, complete and durable.
    func create(_ fill: (String) throws(SQLiteStoreError) -> Void) throws(SQLiteStoreError) {
      // SQLite would treat the content of such a log as the last commits of the new database.
      for log in ["-wal", "-journal"].map({ path + $0 }) where access(log, F_OK) == 0 {
        throw .noAccess(path: path, reason: "cannot be made: \(log) is the log of a database that is gone; remove it")
      }
      let temporary = "\(path).\(UInt64.random(in: .min ... .max)).tmp"
      let descriptor = Foundation.open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      guard descriptor >= 0 else { throw failure() }
      defer { for suffix in ["", "-journal", "-wal", "-shm"] { unlink(temporary + suffix) } }
      // Sets the mode independently of the umask.
      let isPrivate = fchmod(descriptor, 0o600) == 0
      guard close(descriptor) == 0, isPrivate else { throw failure() }
      try fill(temporary)
      guard rename(temporary, path) == 0 else { throw failure() }
      do throws(FileFailure) { try PrivateFile.syncFolder(of: path, FileOperations()) } catch { throw failure() }
    }

    private func failure() -> SQLiteStoreError {
      errno == ENOSPC || errno == EDQUOT
        ? .full(path: path) : .noAccess(path: path, reason: "cannot be made: \(SQLiteStoreError.systemReason)")
    }
  }
#endif

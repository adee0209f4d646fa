// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Foundation

  /// The file of a store: what it is before SQLite touches it, and that no other process has it.
  ///
  /// The lock is on a file beside it and not on the database: when a process closes any descriptor of a file, it loses all
  /// locks of the kind that SQLite uses on it.
  final class StoreFile: Sendable {
    /// The path without links, so that all names of a file have one lock and one log.
    let path: String
    /// Whether there was a file.
    let exists: Bool
    private let lock: Int32

    /// Locks the file and looks at it. It need not exist.
    init(_ given: String) throws(SQLiteStoreError) {
      path = try Self.resolve(given)
      let exists = try Self.checkKind(path)
      lock = try Self.lock(path)
      self.exists = exists
      guard exists else { return }
      try checkHeader()
    }

    deinit {
      // A process that is just being started has all descriptors until it runs its program, and with them the lock.
      flock(lock, LOCK_UN)
      close(lock)
    }

    /// The bytes at the start of a database file: the format's name, and a number for the program that it belongs to.
    static let magic = Array("SQLite format 3\0".utf8)
    private static let headerSize = 100
    private static let applicationIDOffset = 68

    private static func resolve(_ given: String) throws(SQLiteStoreError) -> String {
      guard !given.isEmpty, !given.utf8.contains(0) else { throw .noAccess(path: given, reason: "no such file") }
      // Never relative: SQLite would take a name like file:x for more than a name.
      let absolute = given.hasPrefix("/") ? given : FileManager.default.currentDirectoryPath + "/" + given
      if let real = realPath(absolute) { return real }
      let name = (absolute as NSString).lastPathComponent
      guard errno == ENOENT, let folder = realPath((absolute as NSString).deletingLastPathComponent) else {
        throw .noAccess(path: given, reason: SQLiteStoreError.systemReason)
      }
      return folder == "/" ? "/" + name : "\(folder)/\(name)"
    }

    private static func realPath(_ path: String) -> String? {
      guard let real = realpath(path, nil) else { return nil }
      defer { free(real) }
      return String(cString: real)
    }

    /// Whether there is a file. Its permissions count for root too, who could write it all the same.
    private static func checkKind(_ path: String) throws(SQLiteStoreError) -> Bool {
      var status = stat()
      guard stat(path, &status) == 0 else {
        guard errno == ENOENT else { throw .noAccess(path: path, reason: SQLiteStoreError.systemReason) }
        return false
      }
      guard status.st_mode & S_IFMT == S_IFREG else { throw .notAFile(path: path) }
      let mode = UInt16(status.st_mode & 0o777)
      guard mode & 0o077 == 0 else { throw .exposed(path: path, mode: mode) }
      guard mode & 0o200 != 0, access(path, W_OK) == 0 else { throw .readOnly(path: path) }
      return true
    }

    private static func lock(_ path: String) throws(SQLiteStoreError) -> Int32 {
      let descriptor = open("\(path).lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
      guard descriptor >= 0 else {
        throw .noAccess(path: path, reason: "cannot create the lock beside it: \(SQLiteStoreError.systemReason)")
      }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        close(descriptor)
        throw .inUse(path: path)
      }
      return descriptor
    }

    /// Whose file it is. A store is put into place whole, so its first page never lies in the log alone.
    private func checkHeader() throws(SQLiteStoreError) {
      let descriptor = open(path, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw .noAccess(path: path, reason: SQLiteStoreError.systemReason) }
      defer { close(descriptor) }
      var header = [UInt8](repeating: 0, count: Self.headerSize)
      guard read(descriptor, &header, header.count) == header.count, header.starts(with: Self.magic) else {
        throw .notOurs(path: path)
      }
      let identity = header[Self.applicationIDOffset..<Self.applicationIDOffset + 4].reduce(Int32(0)) {
        $0 << 8 | Int32($1)
      }
      guard identity == Schema.applicationID else { throw .notOurs(path: path) }
    }

    /// Makes a database: `fill` writes it to a file of another name, which then takes its place, whole and durable.
    func create(_ fill: (String) throws(SQLiteStoreError) -> Void) throws(SQLiteStoreError) {
      // SQLite would take what is in it for the last commits of the new database.
      for log in ["-wal", "-journal"].map({ path + $0 }) where access(log, F_OK) == 0 {
        throw .noAccess(path: path, reason: "cannot be made: \(log) is the log of a database that is gone; remove it")
      }
      let temporary = "\(path).\(UInt64.random(in: .min ... .max)).tmp"
      let descriptor = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      guard descriptor >= 0 else { throw failure() }
      defer { for suffix in ["", "-journal", "-wal", "-shm"] { unlink(temporary + suffix) } }
      // Whatever the umask is.
      let isPrivate = fchmod(descriptor, 0o600) == 0
      guard close(descriptor) == 0, isPrivate else { throw failure() }
      try fill(temporary)
      guard rename(temporary, path) == 0 else { throw failure() }
      try syncFolder()
    }

    /// Makes the new name durable.
    private func syncFolder() throws(SQLiteStoreError) {
      let descriptor = open((path as NSString).deletingLastPathComponent, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw failure() }
      defer { close(descriptor) }
      guard fsync(descriptor) == 0 else { throw failure() }
    }

    private func failure() -> SQLiteStoreError {
      errno == ENOSPC || errno == EDQUOT
        ? .full(path: path) : .noAccess(path: path, reason: "cannot be made: \(SQLiteStoreError.systemReason)")
    }
  }
#endif

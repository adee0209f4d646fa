// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Foundation
  import GRDB

  /// The reason why a database cannot be used as a ratchet store. The description names the file
  /// and says what to do. The file is not changed.
  public enum SQLiteStoreError: Error, Sendable, Equatable {
    /// The path is not a regular file but, for example, a folder or a device.
    case notAFile(path: String)
    /// The file, its folder or the lock beside it cannot be read or created.
    case noAccess(path: String, reason: String)
    /// Others than the owner have access; `mode` is the file's present mode.
    case exposed(path: String, mode: UInt16)
    /// Others than root and the user of this process may have written the file, or could replace
    /// it.
    case untrusted(path: String, reason: String)
    /// The file is write-protected.
    case readOnly(path: String)
    /// Another process has the file open.
    case inUse(path: String)
    /// Another store of this process has the file open. A store that was released or closed does
    /// not cause this error: opening waits for it.
    case inUseHere(path: String)
    /// The file belongs to the trusted user `owner`, and this process runs as `user`, which may not
    /// write to it.
    case otherOwner(path: String, owner: UInt32, user: UInt32)
    /// The file is not a ratchet store: another kind of file, or the database of another program.
    case notOurs(path: String)
    /// The file is a ratchet store of a later version of this package.
    case newer(path: String, version: Int, known: Int)
    /// The file is a ratchet store whose content is damaged.
    case damaged(path: String, reason: String)
    /// The disk is full.
    case full(path: String)
    /// The key for the states at rest has another size than 32 bytes.
    case keySize(Int)
    /// The states are encrypted, and no key was given.
    case keyNeeded(path: String)
    /// A key was given, and the states are not encrypted.
    case keyNotNeeded(path: String)
    /// The states are encrypted under another key.
    case wrongKey(path: String)
    /// Other states are stored already for some of the peers.
    case conflict(path: String, peers: Int)
    /// The store was closed.
    case closed(path: String)
    /// Another failure of the disk or the database library.
    case failed(path: String, reason: String)
  }

  extension SQLiteStoreError: CustomStringConvertible {
    /// The file, the problem, and what to do.
    public var description: String {
      switch self {
      case .notAFile(let path): "\(path): not a file"
      case .noAccess(let path, let reason): "\(path): \(reason)"
      case .exposed(let path, let mode):
        "\(path): holds keys, and others than its owner have access (mode \(String(mode, radix: 8))); 'chmod 600' it"
      case .untrusted(let path, let reason): "\(path): \(reason)"
      case .readOnly(let path): "\(path): must not be written to; 'chmod 600' it, or mount its disk for writing"
      case .inUse(let path): "\(path): in use by another process; end that first"
      case .inUseHere(let path):
        "\(path): in use by another store of this process; close() that first, or use it for both endpoints"
      case .otherOwner(let path, let owner, let user):
        "\(path): belongs to user \(owner), and this process is user \(user), who may not write to it; run it as user "
          + "\(owner), or 'chown \(user) \(path)'"
      case .notOurs(let path): "\(path): not a ratchet store; it is left as it is, name another file"
      case .newer(let path, let version, let known):
        "\(path): version \(version) is newer than this program, which knows \(known); it is left as it is, use the newer program"
      case .damaged(let path, let reason):
        "\(path): the ratchet store is damaged (\(reason)); it is left as it is, restore it from a backup"
      case .full(let path): "\(path): the disk is full; free some space"
      case .keySize(let count): "a key for the ratchet store has \(count) bytes; it must have 32"
      case .keyNeeded(let path):
        "\(path): the ratchet store is encrypted; its key is needed (SQLiteStoreOptions.key, --store-key-file)"
      case .keyNotNeeded(let path):
        "\(path): the ratchet store is not encrypted, but a key was given; export it and import it into a new one"
      case .wrongKey(let path):
        "\(path): the ratchet store is encrypted under another key; give the one that it was made with"
      case .conflict(let path, let peers): "\(path): other ratchets are stored for \(peers) of these peers already"
      case .closed(let path): "\(path): the ratchet store was closed"
      case .failed(let path, let reason): "\(path): \(reason)"
      }
    }

    /// Creates the error for a failure during the use of the file.
    init(_ error: any Error, path: String) {
      switch error {
      case let error as SQLiteStoreError: self = error
      case let error as DatabaseError: self = Self.cause(of: error, path: path)
      default: self = .failed(path: path, reason: "\(error)")
      }
    }

    private static func cause(of error: DatabaseError, path: String) -> SQLiteStoreError {
      let reason = "\(error.message ?? "unknown error") (SQLite \(error.extendedResultCode.rawValue))"
      return switch error.resultCode {
      // The index of the log is a file of 32 kB, which is created when a database is opened.
      case .SQLITE_FULL: .full(path: path)
      case .SQLITE_IOERR where error.extendedResultCode == .SQLITE_IOERR_SHMSIZE: .full(path: path)
      case .SQLITE_READONLY: .readOnly(path: path)
      case .SQLITE_CORRUPT, .SQLITE_NOTADB: .damaged(path: path, reason: reason)
      case .SQLITE_BUSY, .SQLITE_LOCKED: .inUse(path: path)
      case .SQLITE_CANTOPEN, .SQLITE_PERM: .noAccess(path: path, reason: reason)
      default: .failed(path: path, reason: reason)
      }
    }

    /// The system's message for its last error.
    static var systemReason: String { String(cString: strerror(errno)) }
  }
#endif

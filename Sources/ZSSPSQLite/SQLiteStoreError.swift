// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Foundation
  import GRDB

  /// Why a database cannot be used as a ratchet store. Every case names the file; its description says what to do. The file
  /// is left as it was.
  public enum SQLiteStoreError: Error, Sendable, Equatable {
    /// Something that is no regular file: a folder, a device.
    case notAFile(path: String)
    /// The file, its folder or the lock beside it cannot be read or made.
    case noAccess(path: String, reason: String)
    /// Others than the owner have access; `mode` is what the file has now.
    case exposed(path: String, mode: UInt16)
    /// Others than root and the user of this process can have written the file, or can replace it.
    case untrusted(path: String, reason: String)
    /// The file must not be written to.
    case readOnly(path: String)
    /// Another process has the file open.
    case inUse(path: String)
    /// Another store of this process has the file open. One that was released or closed is waited for instead.
    case inUseHere(path: String)
    /// The file belongs to `owner`, who is believed, and this process acts as `user`, who may not write to it.
    case otherOwner(path: String, owner: UInt32, user: UInt32)
    /// No ratchet store: another kind of file, or the database of another program.
    case notOurs(path: String)
    /// A ratchet store of a later version of this package.
    case newer(path: String, version: Int, known: Int)
    /// A ratchet store whose content is damaged.
    case damaged(path: String, reason: String)
    /// There is no room left on the disk.
    case full(path: String)
    /// A key for the states at rest that has another size than 32 bytes.
    case keySize(Int)
    /// The states are encrypted, and no key was given.
    case keyNeeded(path: String)
    /// A key was given, and the states are not encrypted.
    case keyNotNeeded(path: String)
    /// The states are encrypted under another key.
    case wrongKey(path: String)
    /// States were to be stored for peers that have others already.
    case conflict(path: String, peers: Int)
    /// The store was closed.
    case closed(path: String)
    /// The disk or the database library reports something else.
    case failed(path: String, reason: String)
  }

  extension SQLiteStoreError: CustomStringConvertible {
    /// What is wrong with which file, and what to do.
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
      case .full(let path): "\(path): no room left on the disk; make some"
      case .keySize(let count): "a key for the ratchet store has \(count) bytes; it must have 32"
      case .keyNeeded(let path): "\(path): the ratchet store is encrypted; its key is needed"
      case .keyNotNeeded(let path):
        "\(path): the ratchet store is not encrypted, but a key was given; export it and import it into a new one"
      case .wrongKey(let path): "\(path): the ratchet store is encrypted under another key"
      case .conflict(let path, let peers): "\(path): other ratchets are stored for \(peers) of these peers already"
      case .closed(let path): "\(path): the ratchet store was closed"
      case .failed(let path, let reason): "\(path): \(reason)"
      }
    }

    /// What a failure that came up while the file was used means.
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
      // The index of the log is a file of 32 kB, which is made when a database is opened.
      case .SQLITE_FULL: .full(path: path)
      case .SQLITE_IOERR where error.extendedResultCode == .SQLITE_IOERR_SHMSIZE: .full(path: path)
      case .SQLITE_READONLY: .readOnly(path: path)
      case .SQLITE_CORRUPT, .SQLITE_NOTADB: .damaged(path: path, reason: reason)
      case .SQLITE_BUSY, .SQLITE_LOCKED: .inUse(path: path)
      case .SQLITE_CANTOPEN, .SQLITE_PERM: .noAccess(path: path, reason: reason)
      default: .failed(path: path, reason: reason)
      }
    }

    /// The text of the system for its last error.
    static var systemReason: String { String(cString: strerror(errno)) }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP
import ZSSPFiles
import ZSSPNIO
import ZSSPSQLite
import ZSSPSwiftCrypto

/// The location of a store: `sqlite:PATH`, `file:PATH`, `memory`, a path alone, or a name that a
/// ``StoreKind`` supports.
enum StoreLocation: Equatable, CustomStringConvertible {
  case memory
  case file(String)
  case sqlite(String)
  /// The whole name, for the kind of its scheme.
  case other(String)

  /// Parses a location. The kind of a path alone is that of the existing file; a new store is a
  /// database if this build supports it.
  ///
  /// - Parameters:
  ///   - text: The location.
  ///   - resolve: Resolves a relative path. The default changes nothing.
  /// - Throws: ``CommandFailure/usage(_:)``.
  init(_ text: String, in resolve: (String) -> String = { $0 }) throws(CommandFailure) {
    let scheme = text.prefix { $0 != ":" }
    let rest = resolve(String(text.dropFirst(scheme.count + 1)))
    switch scheme {
    case "memory" where scheme == text: self = .memory
    case "file" where scheme != text: self = .file(rest)
    case "sqlite" where scheme != text: self = .sqlite(rest)
    case let other where other != text && StoreKind.named(other) != nil: self = .other(text)
    case "etcd" where rest.hasPrefix("//"):
      // The text is not repeated, because it may contain a password by mistake.
      throw .usage("--store etcd://…: this zssp has no stores in etcd; zssp-etcd has (Integrations/Etcd)")
    default: self = try Self.found(resolve(text))
    }
    guard path != "" else { throw .usage("--store \(text): a path is missing") }
    if let path {
      do { _ = try PathParts(path) } catch { throw .usage("--store \(error)") }
    }
    #if !SQLite
      if case .sqlite = self {
        throw .usage("--store \(text): this zssp was built without databases (the package trait SQLite); use file:PATH")
      }
    #endif
  }

  /// The path; nil for other locations.
  var path: String? {
    switch self {
    case .memory, .other: nil
    case .file(let path), .sqlite(let path): path
    }
  }

  var description: String {
    switch self {
    case .memory: "memory"
    case .file(let path): "file:\(path)"
    case .sqlite(let path): "sqlite:\(path)"
    case .other(let text): text
    }
  }

  private static let databaseStart = Array("SQLite format 3\0".utf8)

  private static func found(_ path: String) throws(CommandFailure) -> StoreLocation {
    guard exists(path) else {
      #if SQLite
        return .sqlite(path)
      #else
        return .file(path)
      #endif
    }
    // The store refuses an unreadable file, with the reason.
    return PrivateFile.start(of: path, count: databaseStart.count) == databaseStart ? .sqlite(path) : .file(path)
  }

  private static func exists(_ path: String) -> Bool {
    // Foundation does not define what a path with a NUL means.
    !path.utf8.contains(0) && access(path, F_OK) == 0
  }

  /// Opens the store.
  ///
  /// - Parameters:
  ///   - key: The key for states at rest.
  ///   - creates: True if a missing store may be created. The default is true.
  ///   - owner: A user whose files are trusted, in addition to root and the current user: the user
  ///     that this process becomes.
  /// - Throws: ``CommandFailure``.
  func open(key: Secret?, creates: Bool = true, owner: UInt32? = nil) async throws(CommandFailure) -> any KeptRatchets {
    if let path, !creates, !Self.exists(path) { throw .usage("\(path): no such store") }
    switch self {
    case .other(let text):
      guard let kind = StoreKind.named(text.prefix { $0 != ":" }) else {
        throw .usage("--store \(text): unknown kind; use sqlite:PATH, file:PATH or memory")
      }
      return try await kind.open(text, key, creates)
    case .memory, .file:
      // A user who gives a key expects encryption.
      guard key == nil else { throw .usage("--store \(self): cannot be encrypted; remove its key, or use sqlite:PATH") }
      return if case .file(let path) = self { try FileRatchetStore(path: path, owner: owner) } else {
        VolatileRatchetStore()
      }
    case .sqlite(let path):
      #if SQLite
        var options = SQLiteStoreOptions()
        options.key = key
        options.owner = owner
        options.onFailure = { Terminal.error("--store \($0)") }
        do {
          return try SQLiteRatchetStore(path: path, provider: SwiftCryptoProvider(), options: options)
        } catch {
          throw error.commandFailure
        }
      #else
        throw .usage("--store \(self): this zssp was built without databases (the package trait SQLite); use file:PATH")
      #endif
    }
  }
}

#if SQLite
  extension SQLiteStoreError {
    /// The command's failure for this error.
    fileprivate var commandFailure: CommandFailure {
      switch self {
      case .inUse(let path): .unavailable("--store \(path): \(StoreLocation.inUse)")
      case .full, .readOnly, .failed: .unavailable("--store \(self)")
      case .noAccess(_, let reason) where StoreLocation.isPassing(reason): .unavailable("--store \(self)")
      default: .usage("--store \(self)")
      }
    }
  }
#endif

extension StoreLocation {
  /// The message for a store that another process has open.
  static let inUse = "in use by another process; \(remedyInUse)"
  private static let remedyInUse =
    "a tunnel that runs is changed by 'zssp tunnel peer', any other process must end first"

  /// Returns an error with other advice, if it is that of a store that another process has open.
  ///
  /// - Parameters:
  ///   - failure: The error.
  ///   - remedy: The advice.
  static func advise(_ failure: CommandFailure, inUse remedy: String) -> CommandFailure {
    guard case .unavailable(let message) = failure, message.hasSuffix(inUse) else { return failure }
    return .unavailable(message.dropLast(remedyInUse.count) + remedy)
  }

  /// Returns true if a system error may pass without a change of the arguments: no space, a disk
  /// that is read-only for now.
  static func isPassing(_ reason: String) -> Bool {
    [EROFS, ENOSPC, EDQUOT, EIO, ENOMEM, EMFILE, ENFILE].contains { reason.contains(String(cString: strerror($0))) }
  }
}

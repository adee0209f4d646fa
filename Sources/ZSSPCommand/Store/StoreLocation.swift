// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP
import ZSSPNIO
import ZSSPSQLite
import ZSSPSwiftCrypto

/// Where ratchets are kept, as it is written: `sqlite:PATH`, `file:PATH`, `memory`, a path alone, or what a
/// ``StoreKind`` takes.
enum StoreLocation: Equatable, CustomStringConvertible {
  case memory
  case file(String)
  case sqlite(String)
  /// The whole text, for the kind of its scheme.
  case other(String)

  /// A path alone is what lies there. Where nothing does, a new store is a database, if this build has one.
  init(_ text: String) throws(CommandFailure) {
    let scheme = text.prefix { $0 != ":" }
    let rest = String(text.dropFirst(scheme.count + 1))
    switch scheme {
    case "memory" where scheme == text: self = .memory
    case "file" where scheme != text: self = .file(rest)
    case "sqlite" where scheme != text: self = .sqlite(rest)
    case let other where other != text && StoreKind.named(other) != nil: self = .other(text)
    case "etcd" where rest.hasPrefix("//"):
      // The text is not repeated: a password may be in it by mistake.
      throw .usage("--store etcd://…: this zssp has no stores in etcd; zssp-etcd has (Integrations/Etcd)")
    default: self = try Self.found(text)
    }
    guard path != "" else { throw .usage("--store \(text): a path is missing") }
    #if !SQLite
      if case .sqlite = self {
        throw .usage("--store \(text): this zssp was built without databases (the package trait SQLite); use file:PATH")
      }
    #endif
  }

  /// The path, if there is one.
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

  private static let databaseStart = Data("SQLite format 3\0".utf8)

  private static func found(_ path: String) throws(CommandFailure) -> StoreLocation {
    guard FileManager.default.fileExists(atPath: path) else {
      #if SQLite
        return .sqlite(path)
      #else
        return .file(path)
      #endif
    }
    // What cannot be read is refused by the store, with its reason.
    guard let handle = FileHandle(forReadingAtPath: path) else { return .file(path) }
    let start = try? handle.read(upToCount: databaseStart.count)
    return start == databaseStart ? .sqlite(path) : .file(path)
  }

  /// Opens the store; `creates` says whether it is made if there is none.
  func open(key: Secret?, creates: Bool = true) async throws(CommandFailure) -> any KeptRatchets {
    if let path, !creates, !FileManager.default.fileExists(atPath: path) { throw .usage("\(path): no such store") }
    switch self {
    case .other(let text):
      guard let kind = StoreKind.named(text.prefix { $0 != ":" }) else { throw .usage("--store \(text): unknown kind") }
      return try await kind.open(text, key, creates)
    case .memory, .file:
      // Whoever gives a key relies on it.
      guard key == nil else { throw .usage("--store \(self): is not encrypted, but a key for it was given") }
      return if case .file(let path) = self { try FileRatchetStore(path: path) } else { InMemoryRatchetStore() }
    case .sqlite(let path):
      #if SQLite
        var options = SQLiteStoreOptions()
        options.key = key
        options.onFailure = { Terminal.error("--store \($0)") }
        do {
          return try SQLiteRatchetStore(path: path, provider: SwiftCryptoProvider(), options: options)
        } catch {
          throw .usage("--store \(error)")
        }
      #else
        throw .usage("--store \(self): this zssp was built without databases")
      #endif
    }
  }
}

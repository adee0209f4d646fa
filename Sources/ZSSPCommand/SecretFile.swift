// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import ZSSPFiles

/// Files with secrets, with errors and warnings as commands have them.
enum SecretFile {
  /// What is read, which says how large it may be.
  enum Kind {
    /// A key or a password.
    case key
    /// A configuration.
    case configuration
    /// The ratchets of a store.
    case ratchets

    /// The most bytes that are read.
    var limit: Int {
      switch self {
      case .key: 64 << 10
      case .configuration: 4 << 20
      case .ratchets: 256 << 20
      }
    }
  }

  /// What was warned of, so that each is said once.
  private static let warned = Mutex<Set<String>>([])

  /// Returns the text of a file that nobody else can have written, and warns of one that others can read.
  ///
  /// - Parameters:
  ///   - path: the file, or a pipe.
  ///   - kind: what it is.
  ///   - warns: whether to warn. Another process that reads it as well may do so.
  static func read(_ path: String, _ kind: Kind, warns: Bool = true) throws(CommandFailure) -> String {
    let contents: PrivateFile.Contents
    do { contents = try PrivateFile.read(path, limit: kind.limit) } catch { throw .usage("\(error)") }
    return try text(contents, path, warns: warns)
  }

  /// Returns the text of what was read, and warns of what others can read.
  static func text(
    _ contents: PrivateFile.Contents, _ path: String, warns: Bool = true
  ) throws(CommandFailure) -> String {
    if warns, let warning = contents.warning, warned.withLock({ $0.insert(warning).inserted }) {
      Terminal.error("WARNING: \(warning)")
    }
    guard let text = String(validating: contents.bytes, as: UTF8.self) else {
      throw .usage("\(path): cannot be read as text")
    }
    return text
  }

  /// Writes a file for its owner alone.
  static func write(_ text: String, to path: String, replaces: Bool) throws(CommandFailure) {
    try write([(text, path)], replaces: replaces)
  }

  /// Writes several files, or none.
  static func write(_ files: [(text: String, path: String)], replaces: Bool) throws(CommandFailure) {
    do throws(FileFailure) { try PrivateFile.write(files, replaces: replaces) } catch {
      throw .usage(error.kind == .exists ? "\(error.path) exists already; --force replaces it" : "\(error)")
    }
  }
}

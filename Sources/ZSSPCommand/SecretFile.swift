// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import ZSSPFiles

/// Files with secrets, with the errors and warnings of commands.
enum SecretFile {
  /// The kind of a file, which determines its maximum size.
  enum Kind {
    /// A key or a password.
    case key
    /// A configuration.
    case configuration
    /// The ratchets of a store.
    case ratchets
    /// The keys of sessions, for `decode`.
    case keyLog

    /// The maximum number of bytes read.
    var limit: Int {
      switch self {
      case .key: 64 << 10
      case .configuration: 4 << 20
      case .ratchets, .keyLog: 256 << 20
      }
    }
  }

  /// The warnings that were printed. Each is printed once.
  private static let warned = Mutex<Set<String>>([])

  /// Returns the text of a file that no other user can have written. Warns of a file that others
  /// can read.
  ///
  /// - Parameters:
  ///   - path: The path of a file or a pipe.
  ///   - kind: The kind of the file.
  ///   - warns: False to print no warning, because another process reads the file as well and
  ///     warns.
  /// - Throws: ``CommandFailure/usage(_:)``.
  static func read(_ path: String, kind: Kind, warns: Bool = true) throws(CommandFailure) -> String {
    let contents: PrivateFile.Contents
    do { contents = try PrivateFile.read(path, limit: kind.limit) } catch { throw .usage("\(error)") }
    return try text(of: contents, path: path, warns: warns)
  }

  /// Returns contents as text. Warns if others can read the file.
  ///
  /// - Throws: ``CommandFailure/usage(_:)`` if the contents are not UTF-8.
  static func text(
    of contents: PrivateFile.Contents, path: String, warns: Bool = true
  ) throws(CommandFailure) -> String {
    if warns, let warning = contents.warning, warned.withLock({ $0.insert(warning).inserted }) {
      Terminal.warning(warning)
    }
    guard let text = String(validating: contents.bytes, as: UTF8.self) else {
      throw .usage("\(path): cannot be read as text")
    }
    return text
  }

  /// Writes a file that only its owner can access.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  static func write(_ text: String, to path: String, replaces: Bool) throws(CommandFailure) {
    try write([(text, path)], replaces: replaces)
  }

  /// Writes several files, or none.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  static func write(_ files: [(text: String, path: String)], replaces: Bool) throws(CommandFailure) {
    do throws(FileFailure) { try PrivateFile.write(files, replaces: replaces) } catch {
      throw .usage(error.kind == .exists ? "\(error.path) exists already; --force replaces it" : "\(error)")
    }
  }
}

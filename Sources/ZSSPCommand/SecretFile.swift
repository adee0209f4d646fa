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
    /// A configuration, which names the files of its secrets.
    case configuration
    /// A configuration of WireGuard, which has secrets in it.
    case wireGuard
    /// The ratchets of a store.
    case ratchets
    /// The keys of sessions, for `decode`.
    case keyLog

    /// The maximum number of bytes read.
    var limit: Int {
      switch self {
      case .key: 64 << 10
      case .configuration, .wireGuard: 4 << 20
      case .ratchets, .keyLog: 256 << 20
      }
    }

    /// True if the file itself holds secrets, which those who could read it may have.
    var hasSecrets: Bool { self != .configuration }
  }

  /// The warnings that were printed. Each is printed once.
  private static let warned = Mutex<Set<String>>([])

  /// Returns the text of a file that no other user can have written. Warns of a file that others
  /// can read.
  ///
  /// - Parameters:
  ///   - path: The path of a file or a pipe.
  ///   - kind: The kind of the file.
  /// - Throws: ``CommandFailure/usage(_:)``.
  static func read(_ path: String, kind: Kind) throws(CommandFailure) -> String {
    let (text, warning) = try contents(path, kind: kind)
    warn(warning)
    return text
  }

  /// Returns the text of a file that no other user can have written, and a warning if others can
  /// read it.
  ///
  /// - Parameters:
  ///   - path: The path of a file or a pipe.
  ///   - kind: The kind of the file.
  /// - Throws: ``CommandFailure/usage(_:)``.
  static func contents(_ path: String, kind: Kind) throws(CommandFailure) -> (text: String, warning: String?) {
    let contents: PrivateFile.Contents
    do { contents = try PrivateFile.read(path, limit: kind.limit) } catch { throw .usage("\(error)") }
    return (try text(of: contents, path: path), warning(of: contents, kind: kind))
  }

  /// Returns contents as text.
  ///
  /// - Throws: ``CommandFailure/usage(_:)`` if the contents are not UTF-8.
  static func text(of contents: PrivateFile.Contents, path: String) throws(CommandFailure) -> String {
    guard let text = String(validating: contents.bytes, as: UTF8.self) else {
      throw .usage("\(path): cannot be read as text")
    }
    return text
  }

  /// Returns the warning about contents that others can read; nil if they cannot.
  static func warning(of contents: PrivateFile.Contents, kind: Kind) -> String? {
    contents.warning.map { $0 + (kind.hasSecrets ? ", and replace the secrets in it" : "") }
  }

  /// Prints a warning, once for each text.
  static func warn(_ warning: String?) {
    if let warning, warned.withLock({ $0.insert(warning).inserted }) { Terminal.warning(warning) }
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

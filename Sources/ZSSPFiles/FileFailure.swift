// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The reason why a file cannot be read or written, with its path.
package struct FileFailure: Error, Equatable, CustomStringConvertible {
  /// The kinds that callers treat differently.
  package enum Kind: Sendable, Equatable {
    /// The path names no file, or the system does not allow it.
    case unusable
    /// No file has this name.
    case missing
    /// A file of this name exists already.
    case exists
    /// Others can have written the content.
    case untrusted
    /// The new content is in place, but may not outlast a loss of power.
    case inPlace
  }

  /// The kind.
  package let kind: Kind
  /// The path as it was given.
  package let path: String
  /// The problem, and what to do.
  package let reason: String

  init(_ kind: Kind, path: String, reason: String) {
    self.kind = kind
    self.path = path
    self.reason = reason
  }

  /// Describes the last error of the system.
  static func system(_ path: String, action: String? = nil, kind: Kind = .unusable) -> FileFailure {
    let remedy = errno == EACCES ? "; run this as root, or give the file to the user who runs it" : ""
    let reason = String(cString: strerror(errno)) + remedy
    return FileFailure(kind, path: path, reason: action.map { "\($0): \(reason)" } ?? reason)
  }

  /// The path and the problem.
  package var description: String { "\(path): \(reason)" }
}

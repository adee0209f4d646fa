// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A path, split into a folder and the name of a file in it.
package struct PathParts: Sendable, Equatable {
  /// The whole path, as it was given.
  package let path: String
  /// Everything in front of the name: `.` for a name alone, `/` for one in the root folder.
  package let folder: String
  /// The name of the file: neither empty nor `.` nor `..`.
  package let name: String

  /// Splits a path.
  ///
  /// - Throws: ``FileFailure`` if the text cannot be the path of a file: it is empty, contains a
  ///   NUL, or ends with a slash, `.` or `..`.
  package init(_ path: String) throws(FileFailure) {
    guard !path.isEmpty else { throw FileFailure(.unusable, path: "\"\"", reason: "an empty path names no file") }
    // The system would use only the part before it.
    guard !path.utf8.contains(0) else {
      throw FileFailure(
        .unusable, path: path.replacing("\0", with: "\\0"), reason: "a path cannot have a NUL character in it")
    }
    // Bytes, because a slash and a combining mark after it are one character.
    let bytes = path.utf8
    let slash = bytes.lastIndex(of: UInt8(ascii: "/"))
    let start = slash.map { bytes.index(after: $0) } ?? bytes.startIndex
    let name = String(decoding: bytes[start...], as: UTF8.self)
    guard !["", ".", ".."].contains(name) else {
      throw FileFailure(.unusable, path: path, reason: "names a folder, not a file")
    }
    var folder = bytes[..<(slash ?? bytes.startIndex)]
    while folder.last == UInt8(ascii: "/") { folder = folder.dropLast() }
    self.path = path
    self.name = name
    self.folder = folder.isEmpty ? (slash == nil ? "." : "/") : String(decoding: folder, as: UTF8.self)
  }

  /// Returns the path without symbolic links, which is the same for all names of a file. The file
  /// need not exist.
  package static func resolve(_ path: String) throws(FileFailure) -> String {
    let parts = try PathParts(path)
    if let real = realPath(path) { return real }
    guard errno == ENOENT, let folder = realPath(parts.folder) else { throw .system(path) }
    return folder == "/" ? "/\(parts.name)" : "\(folder)/\(parts.name)"
  }

  private static func realPath(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Files whose content is secret, or decides what this process does.
///
/// The checks apply to the open descriptor and to the folder in which the name was looked up. No
/// path is looked up again, so the file cannot be exchanged in between.
package enum PrivateFile {
  /// The content of a file.
  package struct Contents: Sendable {
    /// The bytes.
    package let bytes: [UInt8]
    /// A warning for the user; nil for none.
    package let warning: String?
  }

  /// Reads a file, a pipe or a terminal to its end.
  ///
  /// A pipe without a name, as with `/dev/stdin` or process substitution, belongs to the user who
  /// started this process, and is trusted. A pipe with a name is treated like a file.
  ///
  /// - Parameters:
  ///   - path: The path.
  ///   - limit: The maximum number of bytes.
  ///   - isFile: True if it must be a regular file.
  ///   - trust: The rule that decides which files are trusted.
  package static func read(
    _ path: String, limit: Int, isFile: Bool = false, trust: FileTrust = FileTrust()
  ) throws(FileFailure) -> Contents {
    let folder = try Folder(path)
    // Waits until something writes to a pipe, unless pipes are refused anyway.
    let descriptor = folder.open(O_RDONLY | O_NOCTTY | (isFile ? O_NONBLOCK : 0))
    guard descriptor >= 0 else {
      if errno == ENOENT { throw FileFailure(.missing, path: path, reason: "no such file") }
      throw .system(path)
    }
    defer { close(descriptor) }
    let status = try self.status(of: descriptor, path)
    let kind = status.st_mode & S_IFMT
    switch kind {
    case S_IFREG: break
    case S_IFDIR: throw FileFailure(.unusable, path: path, reason: "is a folder, not a file")
    case S_IFIFO where !isFile, S_IFCHR where !isFile: break
    default: throw FileFailure(.unusable, path: path, reason: "is not a regular file")
    }
    guard kind != S_IFREG || status.st_size <= limit else { throw tooLarge(path, limit: limit) }
    var warning: String?
    // The mode of a device says nothing about its content.
    let isExempt = if kind == S_IFIFO { try !hasName(status, path: path) } else { kind == S_IFCHR }
    if !isExempt {
      try check(status, of: folder, trust: trust)
      warning = trust.warning(of: path, owner: status.st_uid, mode: UInt32(status.st_mode))
    }
    return Contents(bytes: try readAll(descriptor, path: path, limit: limit), warning: warning)
  }

  /// Checks that others cannot create a file at a path that does not exist yet.
  package static func checkFolder(of path: String, trust: FileTrust = FileTrust()) throws(FileFailure) {
    let folder = try Folder(path)
    if let refusal = trust.refusal(of: path, in: folder.parts.folder, mode: try folder.mode) { throw refusal }
  }

  /// Returns the first bytes of a regular file, or all if it is shorter; nil if it is no regular
  /// file, or cannot be read.
  package static func start(of path: String, count: Int) -> [UInt8]? {
    guard !path.utf8.contains(0) else { return nil }
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    var bytes = [UInt8](repeating: 0, count: count)
    let found = Foundation.read(descriptor, &bytes, count)
    return found < 0 ? nil : Array(bytes.prefix(found))
  }

  /// Returns true if a path leads to a pipe, which can be read only once.
  package static func isPipe(_ path: String) -> Bool {
    var status = stat()
    return !path.isEmpty && !path.utf8.contains(0) && stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
  }

  private static func check(_ status: stat, of folder: Folder, trust: FileTrust) throws(FileFailure) {
    let path = folder.parts.path
    if let refusal = trust.refusal(of: path, owner: status.st_uid, mode: UInt32(status.st_mode)) { throw refusal }
    if let refusal = trust.refusal(of: path, in: folder.parts.folder, mode: try folder.mode) { throw refusal }
  }

  /// Returns true if a pipe has a name that others could open. Pipes without a name are on a device
  /// of their own.
  private static func hasName(_ status: stat, path: String) throws(FileFailure) -> Bool {
    var ends: [CInt] = [0, 0]
    guard pipe(&ends) == 0 else { throw .system(path) }
    defer { for end in ends { close(end) } }
    return try status.st_dev != self.status(of: ends[0], path).st_dev
  }

  private static func status(of descriptor: CInt, _ path: String) throws(FileFailure) -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system(path) }
    return status
  }

  private static func readAll(_ descriptor: CInt, path: String, limit: Int) throws(FileFailure) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: min(limit + 1, 64 << 10))
    while bytes.count <= limit {
      let count = Foundation.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .system(path, action: "cannot be read") }
      guard count > 0 else { return bytes }
      bytes += buffer[..<count]
    }
    throw tooLarge(path, limit: limit)
  }

  private static func tooLarge(_ path: String, limit: Int) -> FileFailure {
    FileFailure(.unusable, path: path, reason: "is larger than \(limit) bytes, the limit for such a file; name another")
  }
}

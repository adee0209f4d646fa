// SPDX-License-Identifier: Apache-2.0
import Foundation

extension PrivateFile {
  /// Writes a text to a file for its owner only (0600). The file is durable, and its readers never
  /// see a part of it.
  ///
  /// - Parameters:
  ///   - text: The content.
  ///   - path: The path of the file.
  ///   - replaces: True to replace an existing regular file. If false, an existing file stays, and
  ///     the call fails. Anything but a regular file is never replaced.
  ///   - system: The calls to the system.
  /// - Throws: ``FileFailure``, of the kind ``FileFailure/Kind/inPlace`` if the file was written
  ///   nevertheless.
  package static func write(
    _ text: String, to path: String, replaces: Bool, system: FileOperations = FileOperations()
  ) throws(FileFailure) {
    try write([(text, path)], replaces: replaces, system: system)
  }

  /// Writes several files like ``write(_:to:replaces:system:)``. If one of them cannot be written,
  /// none is, unless files are replaced and a later one fails at the last step.
  package static func write(
    _ files: [(text: String, path: String)], replaces: Bool, system: FileOperations = FileOperations()
  ) throws(FileFailure) {
    var staged: [StagedFile] = []
    for (text, path) in files { staged.append(try StagedFile(text, to: path, replaces: replaces, system: system)) }
    for (index, file) in staged.enumerated() {
      do throws(FileFailure) { try file.place() } catch {
        if !replaces { for placed in staged[..<index] { placed.folder.remove(placed.folder.parts.name) } }
        throw error
      }
    }
    for file in staged { try file.folder.sync(system) }
  }

  /// Makes the names in the folder of a path durable.
  package static func syncFolder(of path: String, _ system: FileOperations) throws(FileFailure) {
    try Folder(path).sync(system)
  }
}

/// A complete file under a temporary name in the target's folder. It is removed with this object
/// unless it was placed.
private final class StagedFile {
  let folder: Folder
  private let temporary: String
  private let replaces: Bool

  init(_ text: String, to path: String, replaces: Bool, system: FileOperations) throws(FileFailure) {
    folder = try Folder(path)
    // Not derived from the name, which may have the maximum length already.
    temporary = ".zssp-\(UInt64.random(in: .min ... .max)).tmp"
    self.replaces = replaces
    try Self.checkTarget(folder, replaces: replaces)
    let descriptor = folder.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o600, name: temporary)
    guard descriptor >= 0 else { throw .system(path, action: "cannot be written") }
    // The mode does not depend on the umask.
    let isWritten =
      fchmod(descriptor, 0o600) == 0 && Self.writeAll(Array(text.utf8), to: descriptor, system: system)
      && system.sync(descriptor) == 0
    let error = errno
    guard close(descriptor) == 0, isWritten else {
      if !isWritten { errno = error }
      throw .system(path, action: "cannot be written")
    }
  }

  deinit { folder.remove(temporary) }

  /// Gives the file its name.
  func place() throws(FileFailure) {
    guard !folder.place(temporary, replaces: replaces) else { return }
    let path = folder.parts.path
    if errno == EEXIST, !replaces { throw FileFailure(.exists, path: path, reason: "exists already") }
    throw .system(path, action: "cannot be written")
  }

  /// Refuses a target that exists, or with `replaces` one that is no regular file.
  private static func checkTarget(_ folder: Folder, replaces: Bool) throws(FileFailure) {
    let path = folder.parts.path
    guard try folder.status(followsLinks: false) != nil else { return }
    let target: stat?
    do throws(FileFailure) { target = try folder.status(followsLinks: true) } catch {
      // A circular link leads to no file, like a link to a missing one.
      target = nil
    }
    if let target {
      let kind = target.st_mode & S_IFMT
      guard kind != S_IFDIR else { throw FileFailure(.unusable, path: path, reason: "is a folder, not a file") }
      guard kind == S_IFREG else {
        throw FileFailure(.unusable, path: path, reason: "is not a regular file, and is left as it is")
      }
    }
    guard replaces else { throw FileFailure(.exists, path: path, reason: "exists already") }
  }

  private static func writeAll(_ bytes: [UInt8], to descriptor: CInt, system: FileOperations) -> Bool {
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes { system.write(descriptor, $0) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      written += count
    }
    return true
  }
}

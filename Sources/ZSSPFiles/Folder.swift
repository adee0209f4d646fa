// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The open folder that the name of a file is looked up in.
final class Folder {
  let parts: PathParts
  private let descriptor: CInt

  #if os(Linux)
    // O_PATH, which the C library's headers define only with _GNU_SOURCE. With it, the folder must
    // be searchable, but need not be readable.
    private static let lookUpOnly: CInt = 0o10_000_000
  #else
    private static let lookUpOnly: CInt = O_RDONLY
  #endif

  /// Opens the folder of a path.
  init(_ path: String) throws(FileFailure) {
    parts = try PathParts(path)
    descriptor = Foundation.open(parts.folder, Self.lookUpOnly | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system(path, kind: errno == ENOENT ? .missing : .unusable) }
  }

  deinit { close(descriptor) }

  /// The permissions of the folder.
  var mode: UInt32 {
    get throws(FileFailure) {
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { throw .system(parts.path) }
      return UInt32(status.st_mode)
    }
  }

  /// Opens the file, or another one in the folder. Returns the system's result.
  func open(_ flags: CInt, mode: mode_t = 0, name: String? = nil) -> CInt {
    openat(descriptor, name ?? parts.name, flags | O_CLOEXEC, mode)
  }

  /// Returns the status of the file, or of the link at its place; nil if neither exists.
  func status(followsLinks: Bool) throws(FileFailure) -> stat? {
    var status = stat()
    if fstatat(descriptor, parts.name, &status, followsLinks ? 0 : AT_SYMLINK_NOFOLLOW) == 0 { return status }
    guard errno == ENOENT else { throw .system(parts.path) }
    return nil
  }

  /// Removes a name. A missing name is no error.
  func remove(_ name: String) { unlinkat(descriptor, name, 0) }

  /// Gives a file of this folder the name of the path. With `replaces`, it may replace another.
  /// Returns true on success.
  func place(_ temporary: String, replaces: Bool) -> Bool {
    if replaces { return renameat(descriptor, temporary, descriptor, parts.name) == 0 }
    return linkat(descriptor, temporary, descriptor, parts.name, 0) == 0
  }

  /// Makes the names in the folder durable.
  func sync(_ system: FileOperations) throws(FileFailure) {
    let readable = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard readable >= 0 else { throw .system(parts.path, action: "its folder cannot be opened", kind: .inPlace) }
    defer { close(readable) }
    guard system.syncFolder(readable) == 0 else {
      throw .system(parts.path, action: "is written, but its folder cannot be synced", kind: .inPlace)
    }
  }
}

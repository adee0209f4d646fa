// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Files with secrets: created 0600, and never seen half-written.
enum PrivateFile {
  /// Writes `text` to `path`, by way of a temporary file in the same folder.
  ///
  /// - Parameter replaces: whether an existing file is replaced; otherwise it stays and this fails.
  static func write(_ text: String, to path: String, replaces: Bool) throws(CommandFailure) {
    let temporary = "\(path).\(UInt64.random(in: .min ... .max)).tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure("cannot create", path) }
    defer { unlink(temporary) }
    let bytes = Array(text.utf8)
    let isWritten = writeAll(bytes, to: descriptor) && fsync(descriptor) == 0
    guard close(descriptor) == 0, isWritten else { throw failure("cannot write", path) }
    if replaces {
      guard rename(temporary, path) == 0 else { throw failure("cannot replace", path) }
      try syncFolder(of: path)
    } else if link(temporary, path) != 0 {
      guard errno == EEXIST else { throw failure("cannot create", path) }
      throw .usage("\(path) exists already; --force replaces it")
    }
  }

  /// Makes a new name durable. Until then a power failure may bring the old file back.
  private static func syncFolder(of path: String) throws(CommandFailure) {
    let folder = (path as NSString).deletingLastPathComponent
    let descriptor = open(folder.isEmpty ? "." : folder, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("cannot open the folder of", path) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure("cannot sync the folder of", path) }
  }

  /// Reads the text at `path`.
  static func read(_ path: String) throws(CommandFailure) -> String {
    do {
      return try String(contentsOfFile: path, encoding: .utf8)
    } catch {
      guard FileManager.default.fileExists(atPath: path) else { throw .usage("\(path): no such file") }
      throw .usage("\(path): cannot be read as text")
    }
  }

  private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { return false }
      written += count
    }
    return true
  }

  private static func failure(_ action: String, _ path: String) -> CommandFailure {
    .usage("\(action) \(path): \(String(cString: strerror(errno)))")
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// The log file of a tunnel in the background. Its size is limited. It is opened while the process
/// has privileges, and needs none afterwards.
public final class TunnelLog: Sendable {
  /// The maximum size in bytes. When it is exceeded, the newer half is kept.
  static let limit = 1 << 20

  private let path: String
  private let descriptor: CInt
  private let lock = Mutex(())

  /// Creates an empty file that only its owner can access.
  ///
  /// - Throws: ``TunnelError/setUp(step:reason:)``.
  init(path: String) throws(TunnelError) {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else {
      throw .setUp(step: "cannot write \(path)", reason: String(cString: strerror(errno)))
    }
  }

  deinit { close(descriptor) }

  /// Redirects standard output and standard error to this file.
  public func takeOver() {
    for standard in [STDOUT_FILENO, STDERR_FILENO] { dup2(descriptor, standard) }
  }

  /// Creates a new file if the current one was moved away.
  ///
  /// - Throws: ``TunnelError/setUp(step:reason:)``.
  func reopen() throws(TunnelError) {
    var held = stat()
    var found = stat()
    if fstat(descriptor, &held) == 0, stat(path, &found) == 0, held.st_ino == found.st_ino { return }
    let next = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard next >= 0 else { throw .setUp(step: "cannot write \(path)", reason: String(cString: strerror(errno))) }
    defer { close(next) }
    lock.withLock { _ in
      for target in [STDOUT_FILENO, STDERR_FILENO] where isCurrent(target, held: held) { dup2(next, target) }
      // The new descriptor must be closed when another program is run, like the old one.
      if dup2(next, descriptor) >= 0 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    }
  }

  /// Returns true if a descriptor refers to the current file.
  private func isCurrent(_ target: CInt, held: stat) -> Bool {
    var status = stat()
    return fstat(target, &status) == 0 && status.st_dev == held.st_dev && status.st_ino == held.st_ino
  }

  /// Drops the older half if the file is too large. Must be called after a line was written.
  public func bound() {
    lock.withLock { _ in
      var status = stat()
      guard fstat(descriptor, &status) == 0, status.st_size > Self.limit else { return }
      var rest = [UInt8](repeating: 0, count: Self.limit / 2)
      let count = pread(descriptor, &rest, rest.count, status.st_size - off_t(rest.count))
      guard count > 0, ftruncate(descriptor, 0) == 0 else { return }
      let lines = rest[..<count].drop { $0 != UInt8(ascii: "\n") }.dropFirst()
      _ = lines.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }
  }
}

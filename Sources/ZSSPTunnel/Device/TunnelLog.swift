// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// Where a tunnel in the background says what happens: a file in its folder, which does not grow for ever. It is opened while there are
/// privileges, and needs none afterwards.
public final class TunnelLog: Sendable {
  /// The largest size in bytes. Of a file that is larger the newer half stays.
  static let limit = 1 << 20

  private let descriptor: CInt
  private let lock = Mutex(())

  /// Begins a new file for its owner alone.
  init(path: String) throws(TunnelError) {
    descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else {
      throw .setUp(step: "cannot write \(path)", reason: String(cString: strerror(errno)))
    }
  }

  deinit { close(descriptor) }

  /// Has standard output and standard error go to this file.
  public func takeOver() {
    for standard in [STDOUT_FILENO, STDERR_FILENO] { dup2(descriptor, standard) }
  }

  /// Drops the older half if there is too much. To be called after a line was written.
  func bound() {
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

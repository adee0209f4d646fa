// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore

/// A Unix socket that its owner and its group can connect to.
struct UnixListener: Sendable {
  /// The bound socket. It does not listen yet.
  let descriptor: CInt
  private let path: String
  private let device: UInt64
  private let node: UInt64

  /// Binds a socket, in place of one that nothing listens on.
  ///
  /// - Parameters:
  ///   - path: The path.
  ///   - group: The id of the group that may connect; nil for that of the process.
  /// - Throws: ``MetricsServerError``.
  init(path: String, group: UInt32?) throws(MetricsServerError) {
    try Self.removeStale(path)
    let address: SocketAddress
    do { address = try SocketAddress(unixDomainSocketPath: path) } catch {
      throw MetricsServerError(path, reason: "the path is too long")
    }
    #if os(Linux)
      let type = CInt(SOCK_STREAM.rawValue)
    #else
      let type = SOCK_STREAM
    #endif
    let descriptor = socket(AF_UNIX, type, 0)
    guard descriptor >= 0 else { throw MetricsServerError(path, error: errno) }
    do throws(MetricsServerError) {
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
      let bound = address.withSockAddr { bind(descriptor, $0, socklen_t($1)) }
      guard bound == 0 else { throw MetricsServerError(path, error: errno) }
      // Nobody can connect before the socket listens, so nobody connects with other permissions.
      if let group, lchown(path, uid_t.max, group) != 0 { throw MetricsServerError(path, error: errno) }
      var status = stat()
      guard chmod(path, 0o660) == 0, lstat(path, &status) == 0 else { throw MetricsServerError(path, error: errno) }
      self.descriptor = descriptor
      self.path = path
      device = UInt64(status.st_dev)
      node = UInt64(status.st_ino)
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// Removes the socket's file, unless another is in its place.
  func unlinkFile() {
    var status = stat()
    guard lstat(path, &status) == 0, UInt64(status.st_dev) == device, UInt64(status.st_ino) == node else { return }
    // Without privileges it stays, and the next start finds it stale.
    unlink(path)
  }

  /// Removes a socket that nothing listens on.
  ///
  /// - Throws: ``MetricsServerError`` if the path has another kind of file, or something listens.
  private static func removeStale(_ path: String) throws(MetricsServerError) {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return }
      throw MetricsServerError(path, error: errno)
    }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw MetricsServerError(path, reason: "there is a file that is no socket; remove it, or choose another path")
    }
    switch connectionError(to: path) {
    case 0, EAGAIN, EINPROGRESS:
      throw MetricsServerError(path, reason: "another process listens there; end it, or choose another path")
    case ECONNREFUSED:
      guard unlink(path) == 0 || errno == ENOENT else { throw MetricsServerError(path, error: errno) }
    case let error: throw MetricsServerError(path, error: error)
    }
  }

  /// Tries to connect, and returns the system's error number; 0 for success.
  private static func connectionError(to path: String) -> CInt {
    guard let address = try? SocketAddress(unixDomainSocketPath: path) else { return ENAMETOOLONG }
    #if os(Linux)
      let type = CInt(SOCK_STREAM.rawValue)
    #else
      let type = SOCK_STREAM
    #endif
    let descriptor = socket(AF_UNIX, type, 0)
    guard descriptor >= 0 else { return errno }
    defer { close(descriptor) }
    // A full queue of a live listener must not block this thread.
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    return address.withSockAddr { connect(descriptor, $0, socklen_t($1)) } == 0 ? 0 : errno
  }
}

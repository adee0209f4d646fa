// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSPCapture

/// A capture in a file, a pipe or standard input, or a file that one is written to.
final class CaptureFile: CaptureSource, OutputSink {
  private let descriptor: CInt
  private let name: String
  private let isOwned: Bool
  /// True if the reader of a pipe has closed it.
  private(set) var isClosed = false

  /// Opens a capture. A hyphen means standard input.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  init(reading path: String) throws(CommandFailure) {
    guard path != "-" else {
      descriptor = STDIN_FILENO
      name = "standard input"
      isOwned = false
      return
    }
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
    name = path
    isOwned = true
    guard descriptor >= 0 else { throw .usage("\(path): cannot be read: \(String(cString: strerror(errno)))") }
  }

  /// Creates or replaces a file that only its owner can read: what it will hold was encrypted.
  ///
  /// - Parameter inputs: The files that are read, which are not replaced.
  /// - Throws: ``CommandFailure/usage(_:)``.
  init(writing path: String, inputs: [String]) throws(CommandFailure) {
    descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0o600)
    name = path
    isOwned = true
    guard descriptor >= 0 else { throw .usage("\(path): cannot be written: \(String(cString: strerror(errno)))") }
    // A file that existed would keep its mode. Pipes and devices have none that matters here.
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFREG || fchmod(descriptor, 0o600) == 0 else {
      let reason = String(cString: strerror(errno))
      throw .usage("\(path): cannot be made private: \(reason)")
    }
    for input in inputs {
      var other = stat()
      guard stat(input, &other) == 0, other.st_dev == status.st_dev, other.st_ino == status.st_ino else { continue }
      throw .usage("\(path): is read as \(input), so nothing was written to it; name another file")
    }
    guard status.st_mode & S_IFMT != S_IFREG || ftruncate(descriptor, 0) == 0 else {
      throw .usage("\(path): cannot be emptied: \(String(cString: strerror(errno)))")
    }
  }

  /// Writes to an open file, which stays open.
  init(writingTo descriptor: CInt, name: String) {
    self.descriptor = descriptor
    self.name = name
    isOwned = false
  }

  deinit {
    if isOwned, descriptor >= 0 { close(descriptor) }
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(CaptureError) -> Int {
    while true {
      let count = Foundation.read(descriptor, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      if errno != EINTR { throw .unreadable("\(name): cannot be read: \(String(cString: strerror(errno)))") }
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(CaptureError) {
    var rest = bytes
    while !rest.isEmpty {
      let count = Foundation.write(descriptor, rest.baseAddress, rest.count)
      if count < 0, Terminal.waitAfterFailure(of: descriptor) { continue }
      guard count >= 0 else {
        isClosed = errno == EPIPE
        throw .unwritable("\(name): cannot be written: \(String(cString: strerror(errno)))")
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }
}

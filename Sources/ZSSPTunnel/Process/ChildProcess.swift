// SPDX-License-Identifier: Apache-2.0
import CZSSPTunnel
import Foundation

/// A program that this process starts and waits for.
///
/// The wait ends with the program itself. What it leaves in the background continues, as with `sh
/// -c`. Its output goes to files in memory, so no reader must keep up, and a reader that stops
/// early blocks nothing.
package struct ChildProcess {
  /// The id of the process.
  package let id: CInt

  /// Starts a program.
  ///
  /// - Parameters:
  ///   - path: The path of the program.
  ///   - arguments: Its arguments, the first of which is its name.
  ///   - descriptors: Its descriptors 0 to 3. A negative number stands for `/dev/null`, or for none
  ///     in the last place; missing ones are negative.
  /// - Throws: A ``SystemFailure``.
  package init(_ path: String, arguments: [String], descriptors: [CInt]) throws(SystemFailure) {
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    let count = Int(czssp_descriptor_count)
    let all = (descriptors + [CInt](repeating: -1, count: count)).prefix(count)
    let child = Array(all).withUnsafeBufferPointer { czssp_spawn(path, &words, $0.baseAddress) }
    guard child > 0 else { throw SystemFailure(code: -child) }
    id = child
  }

  /// Waits for the end of the program. Blocks.
  ///
  /// - Returns: The exit code, or 128 plus the number of the signal that ended the program.
  /// - Throws: A ``SystemFailure``.
  package func wait() throws(SystemFailure) -> Int32 {
    let code = czssp_wait(id)
    guard code >= 0 else { throw SystemFailure(code: -code) }
    return code
  }
}

/// An error of the system.
package struct SystemFailure: Error, CustomStringConvertible {
  let code: CInt

  /// The system's error text.
  package var description: String { String(cString: strerror(code)) }
}

/// A file in memory, which is deleted with its last reference.
package final class MemoryFile {
  /// The file's descriptor.
  package let descriptor: CInt

  /// Makes an empty file.
  ///
  /// - Throws: A ``SystemFailure``.
  package init() throws(SystemFailure) {
    descriptor = czssp_memory_file()
    guard descriptor >= 0 else { throw SystemFailure(code: -descriptor) }
  }

  /// Makes a file with a text, positioned at its beginning.
  ///
  /// - Throws: A ``SystemFailure``.
  package convenience init(_ text: String) throws(SystemFailure) {
    try self.init()
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { throw SystemFailure(code: errno) }
      rest = rest.dropFirst(count)
    }
    lseek(descriptor, 0, SEEK_SET)
  }

  deinit { close(descriptor) }

  /// The current content.
  package var text: String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while case let count = pread(descriptor, &buffer, buffer.count, off_t(bytes.count)), count > 0 {
      bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

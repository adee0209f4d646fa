// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The system calls that make a file durable. Tests replace them by failing ones. The results are
/// those of the system calls.
package struct FileOperations: Sendable {
  /// Writes bytes to a descriptor.
  package var write: @Sendable (CInt, UnsafeRawBufferPointer) -> Int = { descriptor, bytes in
    Foundation.write(descriptor, bytes.baseAddress, bytes.count)
  }
  /// Makes the content of a file durable.
  package var sync: @Sendable (CInt) -> CInt = Self.flush
  /// Makes the names in a folder durable.
  package var syncFolder: @Sendable (CInt) -> CInt = Self.flush

  /// Makes the operations of the system.
  package init() {}

  private static let flush: @Sendable (CInt) -> CInt = { descriptor in
    #if canImport(Darwin)
      // On this system fsync leaves the content in the disk's cache. Not every file system supports
      // F_FULLFSYNC.
      if fcntl(descriptor, F_FULLFSYNC) == 0 { return 0 }
    #endif
    return fsync(descriptor)
  }
}

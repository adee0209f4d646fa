// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The calls to the system that make a file durable, which tests replace to have them fail. Each answers as the system's.
package struct FileOperations: Sendable {
  /// Writes bytes to a descriptor.
  package var write: @Sendable (CInt, UnsafeRawBufferPointer) -> Int = { descriptor, bytes in
    Foundation.write(descriptor, bytes.baseAddress, bytes.count)
  }
  /// Makes the content of a file durable.
  package var sync: @Sendable (CInt) -> CInt = Self.flush
  /// Makes the names in a folder durable.
  package var syncFolder: @Sendable (CInt) -> CInt = Self.flush

  /// The system's own.
  package init() {}

  private static let flush: @Sendable (CInt) -> CInt = { descriptor in
    #if canImport(Darwin)
      // There fsync leaves it in the disk's cache; not every file system has this.
      if fcntl(descriptor, F_FULLFSYNC) == 0 { return 0 }
    #endif
    return fsync(descriptor)
  }
}

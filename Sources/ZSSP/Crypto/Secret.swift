// SPDX-License-Identifier: Apache-2.0

/// Key material that is wiped from memory when its last owner releases it.
///
/// A `Secret` is immutable and may be shared between threads. Its description does not show its
/// content, it is not `Codable`, and it is compared in constant time. Its bytes never move: copies
/// of a `Secret` refer to the same storage.
public struct Secret: Sendable {
  // Written only before the initializer returns, so it is safe to share. The type of managed
  // buffers cannot express this.
  @safe nonisolated(unsafe) private let storage: Storage

  /// Creates a secret of `count` zero bytes, to which `fill` then writes.
  ///
  /// - Throws: the error that `fill` throws.
  public init<Failure: Error>(count: Int, filledBy fill: (inout MutableRawSpan) throws(Failure) -> Void)
    throws(Failure)
  {
    storage = Storage.make(count: count)
    var bytes = unsafe MutableRawSpan(_unsafeBytes: storage.base)
    try fill(&bytes)
  }

  /// Creates a secret with a copy of `bytes`. The caller must wipe the original.
  public init(copying bytes: RawSpan) {
    self.init(count: bytes.byteCount) { target in target.write(bytes, at: 0) }
  }

  /// Returns `count` zero bytes: the key of the empty ratchet state (section 6).
  public static func zeros(_ count: Int) -> Secret { Secret(count: count) { _ in } }

  /// The size in bytes.
  public var count: Int { storage.count }

  /// The bytes, for a cryptographic operation. The caller must wipe its copies of them.
  public var bytes: RawSpan {
    @_lifetime(borrow self) get {
      // The storage lives at least as long as `self`, and nothing writes to it after
      // initialization.
      let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(storage.base))
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// Returns the first `count` bytes as a separate secret.
  public func prefix(_ count: Int) -> Secret { Secret(copying: bytes.extracting(0..<count)) }

  /// Joins several secrets into one, which takes less memory than they do.
  package init(joining secrets: [Secret]) {
    self.init(count: secrets.reduce(0) { $0 + $1.count }) { target in
      var start = 0
      for secret in secrets {
        target.write(secret.bytes, at: start)
        start += secret.count
      }
    }
  }

  /// Returns part `index` of a secret that was joined from parts of `size` bytes each.
  package func part(_ index: Int, of size: Int) -> Secret {
    Secret(copying: bytes.extracting(index * size..<(index + 1) * size))
  }

  /// Reads from the cache lines that hold the first 64 bytes, so that they are in the cache soon.
  /// The result has no meaning; it prevents the compiler from removing the reads.
  @inline(__always)
  func prefetch() -> UInt64 {
    let bytes = bytes
    guard !bytes.isEmpty else { return 0 }
    return UInt64(bytes[byte: 0]) &+ UInt64(bytes[byte: min(bytes.byteCount, 64) - 1])
  }

  /// Compares two secrets in time that depends only on their sizes.
  public static func == (left: Secret, right: Secret) -> Bool { constantTimeEqual(left.bytes, right.bytes) }

  /// The size in bytes. The padding makes the bytes begin at a multiple of 16.
  private struct Header {
    let count: Int
    let padding = 0
  }

  /// The bytes lie in the object itself, so prefetching a secret needs one memory access.
  @safe private final class Storage: ManagedBuffer<Header, UInt8> {
    static func make(count: Int) -> Storage {
      let storage = unsafe unsafeDowncast(
        Storage.create(minimumCapacity: count) { _ in Header(count: count) }, to: Storage.self)
      unsafe storage.base.initializeMemory(as: UInt8.self, repeating: 0)
      return storage
    }

    var count: Int { header.count }

    var base: UnsafeMutableRawBufferPointer {
      unsafe withUnsafeMutablePointers { header, bytes in
        unsafe UnsafeMutableRawBufferPointer(start: bytes, count: header.pointee.count)
      }
    }

    deinit {
      // The allocator gets the pointer next. The compiler must assume that it reads these zeros, so
      // it keeps the write.
      unsafe base.initializeMemory(as: UInt8.self, repeating: 0)
    }
  }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The size, without the content.
  public var description: String { "Secret(\(count) bytes)" }
  /// The size, without the content.
  public var debugDescription: String { description }
  /// A mirror without children, so that `dump` shows nothing.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Compares two byte strings in time that depends only on their sizes.
public func constantTimeEqual(_ left: RawSpan, _ right: RawSpan) -> Bool {
  guard left.byteCount == right.byteCount else { return false }
  var difference: UInt8 = 0
  for index in 0..<left.byteCount { difference |= left[byte: index] ^ right[byte: index] }
  return difference == 0
}

// SPDX-License-Identifier: Apache-2.0

/// Key material that is wiped from memory when its last owner lets go of it.
///
/// A `Secret` is immutable and may be shared between threads. It has no readable description, is not `Codable`, and
/// compares in constant time. Its bytes never move: copies of a `Secret` refer to the same storage.
public struct Secret: Sendable {
  // Written only before the initializer returns, hence safe to share; managed buffers cannot say so themselves.
  @safe nonisolated(unsafe) private let storage: Storage

  /// Makes a secret of `count` bytes that `fill` writes; they are zero before.
  public init<Failure: Error>(count: Int, filledBy fill: (inout MutableRawSpan) throws(Failure) -> Void)
    throws(Failure)
  {
    storage = Storage.make(count: count)
    var bytes = unsafe MutableRawSpan(_unsafeBytes: storage.base)
    try fill(&bytes)
  }

  /// Makes a secret that holds a copy of `bytes`. The original stays where it is and is the caller's to wipe.
  public init(copying bytes: RawSpan) {
    self.init(count: bytes.byteCount) { target in target.write(bytes, at: 0) }
  }

  /// `count` zero bytes: the key of the empty ratchet state (section 6).
  public static func zeros(_ count: Int) -> Secret { Secret(count: count) { _ in } }

  /// The size in bytes.
  public var count: Int { storage.count }

  /// The bytes themselves, for a cryptographic operation. Copies made of them are the caller's to wipe.
  public var bytes: RawSpan {
    @_lifetime(borrow self) get {
      // The storage lives at least as long as `self`, and nothing writes to it after initialization.
      let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(storage.base))
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The first `count` bytes as a secret of their own.
  public func prefix(_ count: Int) -> Secret { Secret(copying: bytes.extracting(0..<count)) }

  /// One secret of the bytes of several, which is smaller than they are.
  package init(joining secrets: [Secret]) {
    self.init(count: secrets.reduce(0) { $0 + $1.count }) { target in
      var start = 0
      for secret in secrets {
        target.write(secret.bytes, at: start)
        start += secret.count
      }
    }
  }

  /// Part `index` of those of `size` bytes each that were joined.
  package func part(_ index: Int, of size: Int) -> Secret {
    Secret(copying: bytes.extracting(index * size..<(index + 1) * size))
  }

  /// Reads from the lines of memory that have the first 64 bytes, so that they are in the cache soon. What it returns is
  /// worthless, but has been read.
  @inline(__always)
  func prefetch() -> UInt64 {
    let bytes = bytes
    guard !bytes.isEmpty else { return 0 }
    return UInt64(bytes[byte: 0]) &+ UInt64(bytes[byte: min(bytes.byteCount, 64) - 1])
  }

  /// Whether two secrets are the same, in time that depends on their sizes alone.
  public static func == (left: Secret, right: Secret) -> Bool { constantTimeEqual(left.bytes, right.bytes) }

  /// How many bytes there are. The other word has the bytes begin at a multiple of 16.
  private struct Header {
    let count: Int
    let padding = 0
  }

  /// The bytes lie in the object itself: where many secrets are fetched from memory, each is one place to go to.
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
      // The pointer goes to the allocator next, which the compiler must take for a reader of these zeros.
      unsafe base.initializeMemory(as: UInt8.self, repeating: 0)
    }
  }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Says the size and nothing else.
  public var description: String { "Secret(\(count) bytes)" }
  /// Says the size and nothing else.
  public var debugDescription: String { description }
  /// Has no children, so `dump` shows nothing.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Whether two byte strings are equal, in time that depends on their sizes alone.
public func constantTimeEqual(_ left: RawSpan, _ right: RawSpan) -> Bool {
  guard left.byteCount == right.byteCount else { return false }
  var difference: UInt8 = 0
  for index in 0..<left.byteCount { difference |= left[byte: index] ^ right[byte: index] }
  return difference == 0
}

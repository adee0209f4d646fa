// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A window on a capture that moves from front to back. It grows to a fixed size.
struct CaptureBuffer: ~Copyable {
  /// The largest number of bytes that ``require(_:)`` accepts.
  static let size = 1 << 20

  private static let initialSize = 1 << 17

  private let source: any CaptureSource
  private var memory: UnsafeMutableRawBufferPointer
  private var start = 0
  private var end = 0
  private var isAtEnd = false
  /// The position of the first unread byte in the capture.
  private(set) var offset: UInt64 = 0
  /// The byte order of integers.
  var isBigEndian = false

  init(_ source: any CaptureSource) {
    self.source = source
    memory = .allocate(byteCount: Self.initialSize, alignment: 16)
  }

  deinit { memory.deallocate() }

  /// The bytes that were read from the source and not consumed.
  var available: Int { end - start }

  /// Reads until `count` bytes are available.
  ///
  /// - Returns: false if the capture ends before, or if `count` exceeds ``size``.
  @inline(__always)
  mutating func require(_ count: Int) throws(CaptureError) -> Bool {
    if count <= end - start { return true }
    return try fill(count)
  }

  private mutating func fill(_ count: Int) throws(CaptureError) -> Bool {
    guard count <= Self.size else { return false }
    let rest = UnsafeRawBufferPointer(rebasing: memory[start..<end])
    if count > memory.count {
      let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.size, alignment: 16)
      larger.copyMemory(from: rest)
      memory.deallocate()
      memory = larger
    } else if start > 0 {
      memory.copyMemory(from: rest)
    }
    end -= start
    start = 0
    while available < count, !isAtEnd {
      let read = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: memory[end...]))
      if read <= 0 { isAtEnd = true } else { end += min(read, memory.count - end) }
    }
    return available >= count
  }

  /// Consumes bytes that are available.
  @inline(__always)
  mutating func consume(_ count: Int) {
    precondition(count >= 0 && count <= available)
    start += count
    offset &+= UInt64(count)
  }

  /// Consumes bytes without collecting them.
  ///
  /// - Returns: false if the capture ends before.
  mutating func skip(_ count: UInt64) throws(CaptureError) -> Bool {
    var rest = count
    while rest > 0 {
      guard try require(1) else { return false }
      let step = Int(min(rest, UInt64(available)))
      consume(step)
      rest -= UInt64(step)
    }
    return true
  }

  /// Returns the integer at a position behind the first unread byte, in the capture's byte order.
  /// Its bytes are available.
  @inline(__always)
  func integer<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type, at position: Int) -> Value {
    let value = bytes(position, count: MemoryLayout<Value>.size).load(type, at: 0)
    return isBigEndian ? value : value.byteSwapped
  }

  /// Returns bytes that are available, from a position behind the first unread byte on.
  @inline(__always) @_lifetime(borrow self)
  func bytes(_ position: Int, count: Int) -> RawSpan {
    precondition(position >= 0 && count >= 0 && position + count <= available)
    let part = UnsafeRawBufferPointer(rebasing: memory[start + position..<start + position + count])
    // The memory lives as long as this object, and changes only in mutating functions.
    return unsafe _overrideLifetime(RawSpan(_unsafeBytes: part), borrowing: self)
  }
}

// SPDX-License-Identifier: Apache-2.0

// Reads and writes integers and byte strings in spans. Integers on the wire are big-endian. The
// spans check offsets themselves. The endpoint checks the size of each datagram first, so that none
// causes a trap here.

extension RawSpan {
  /// The byte at `offset`.
  @inlinable package subscript(byte offset: Int) -> UInt8 {
    // A single byte has no alignment and no invalid value; the span checks the offset.
    unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  // [PKT-1]
  /// The big-endian integer at `offset`.
  @inlinable package func load<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type, at offset: Int) -> Value
  {
    // Every bit pattern is a valid integer; the span checks the range.
    unsafe Value(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: type))
  }

  /// A copy of the bytes.
  @inlinable package var array: [UInt8] {
    [UInt8](capacity: byteCount) { output in
      for index in 0..<byteCount { output.append(self[byte: index]) }
    }
  }
}

extension MutableRawSpan {
  /// The byte at `offset`.
  @inlinable package subscript(byte offset: Int) -> UInt8 {
    unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  // [PKT-1]
  /// Writes `value` in big-endian order at `offset`.
  @inlinable package mutating func store<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: Value.self)
  }

  /// Copies `source` to `offset`.
  @inlinable package mutating func write(_ source: RawSpan, at offset: Int) {
    var target = slice(offset..<offset + source.byteCount)
    unsafe target.withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { source in unsafe target.copyMemory(from: source) }
    }
  }

  /// Returns the bytes of `range` as a span to write to.
  @inlinable @_lifetime(&self) package mutating func slice(_ range: Range<Int>) -> MutableRawSpan {
    #if compiler(>=6.3)
      _mutatingExtracting(range)
    #else
      extracting(range)
    #endif
  }
}

extension Array<UInt8> {
  /// The elements as raw bytes.
  @inlinable package var rawBytes: RawSpan {
    @_lifetime(borrow self) get { unsafe span.bytes }
  }

  /// Calls `body` with the elements as bytes to write to. Their number stays the same.
  @inlinable package mutating func withMutableBytes<Result, Failure: Error>(
    _ body: (inout MutableRawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var elements = mutableSpan
    var bytes = unsafe elements.mutableBytes
    return try body(&bytes)
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The fuzzer's input, read from the front. Past its end there are zeros, so that every input means
/// something.
struct FuzzInput {
  private let content: [UInt8]
  private var offset = 0

  init(_ start: UnsafePointer<UInt8>?, _ count: Int) {
    content = Array(UnsafeBufferPointer(start: start, count: count))
  }

  /// True if all of it has been read.
  var isEmpty: Bool { offset >= content.count }

  mutating func byte() -> UInt8 {
    guard !isEmpty else { return 0 }
    defer { offset += 1 }
    return content[offset]
  }

  /// A number in `0..<bound`, of one byte.
  mutating func below(_ bound: Int) -> Int { bound > 0 ? Int(byte()) % bound : 0 }

  mutating func flag() -> Bool { byte() & 1 == 1 }

  /// A big-endian integer.
  mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type) -> Value {
    (0..<Value.bitWidth / 8).reduce(0 as Value) { value, _ in value << 8 | Value(byte()) }
  }

  /// Returns up to `count` bytes, fewer if the input ends.
  mutating func bytes(_ count: Int) -> [UInt8] {
    let end = min(content.count, offset + count)
    defer { offset = end }
    return Array(content[offset..<end])
  }

  /// The remaining input.
  mutating func rest() -> [UInt8] { bytes(content.count) }

  /// The remaining input as text. Invalid UTF-8 is repaired.
  mutating func restAsText() -> String { String(decoding: rest(), as: UTF8.self) }
}

/// Entry point for libFuzzer. Each target's file defines `fuzz(_:)`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var input = FuzzInput(start, count)
  fuzz(&input)
  return 0
}

/// A rule that every input must leave whole. The fuzzer keeps the input that breaks it.
func expect(_ condition: Bool, _ rule: @autoclosure () -> String) {
  guard condition else { fatalError("broken: \(rule())") }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Integers modulo the prime 2^61 − 1.
enum Field {
  static let modulus: UInt64 = 1 << 61 - 1
  static let generator: UInt64 = 0x0123_4567_89AB_CDEF

  static func product(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let (high, low) = left.multipliedFullWidth(by: right)
    return modulus.dividingFullWidth((high, low)).remainder
  }

  /// Big-endian, with zeros in front.
  static func bytes(_ value: UInt64, size: Int) -> [UInt8] {
    (0..<size).map { index in size - index > 8 ? 0 : UInt8(truncatingIfNeeded: value >> UInt64(8 * (size - index - 1)))
    }
  }

  /// Returns the element at the end of `bytes`, whose number must be `size`.
  static func element(_ bytes: [UInt8], size: Int) throws(CryptoFailure) -> UInt64 {
    guard bytes.count == size else { throw CryptoFailure("\(bytes.count) bytes where \(size) were expected") }
    let value = bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
    guard value > 1, value < modulus else { throw CryptoFailure("no element of the field") }
    return value
  }
}

/// `count` bytes that depend on every byte of all `parts`.
func mixed(_ parts: [[UInt8]], count: Int) -> [UInt8] {
  var state: UInt64 = 0x6A09_E667_F3BC_C908
  func step(_ word: UInt64) {
    state = (state ^ word) &* 0x9E37_79B9_7F4A_7C15
    state ^= state >> 29
  }
  for part in parts {
    step(UInt64(part.count))
    for byte in part { step(UInt64(byte)) }
  }
  return (0..<count).map { index in
    step(UInt64(index))
    return UInt8(truncatingIfNeeded: state >> 32)
  }
}

func combined(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] { zip(left, right).map { $0 ^ $1 } }

func secret(_ bytes: [UInt8]) -> Secret { Secret(copying: bytes.span.bytes) }

extension RawSpan {
  /// A copy of the bytes.
  var copy: [UInt8] { withUnsafeBytes { [UInt8]($0) } }
}

extension MutableRawSpan {
  /// Writes `bytes` to the beginning.
  mutating func fill(with bytes: [UInt8]) {
    withUnsafeMutableBytes { target in
      for (index, byte) in bytes.enumerated() { target[index] = byte }
    }
  }
}

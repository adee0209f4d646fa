// SPDX-License-Identifier: Apache-2.0

extension RawSpan {
  /// The bytes in lower-case hexadecimal digits.
  package var hexadecimal: String {
    unsafe String(unsafeUninitializedCapacity: byteCount * 2) { text in
      for index in 0..<byteCount {
        unsafe text[2 * index] = hexadecimalDigit(self[byte: index] >> 4)
        unsafe text[2 * index + 1] = hexadecimalDigit(self[byte: index] & 15)
      }
      return byteCount * 2
    }
  }
}

private func hexadecimalDigit(_ nibble: UInt8) -> UInt8 {
  nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
}

// SPDX-License-Identifier: Apache-2.0

/// Payloads made by `--send`, which the other end recognises and checks: a mark, a number, and bytes that follow from the number.
enum Pattern {
  private static let mark = Array("ZSSPMADE".utf8)
  private static let headerSize = 16

  /// Payload `number` of `size` bytes. A payload shorter than 16 bytes is cut off.
  static func make(_ number: UInt64, size: Int) -> [UInt8] {
    var bytes = mark + (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) }
    bytes.reserveCapacity(max(size, headerSize) + 8)
    var state = number
    while bytes.count < size {
      let word = next(&state)
      for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
    bytes.removeLast(bytes.count - size)
    return bytes
  }

  /// Whether `message` is a made payload, and intact; nil if it does not carry the mark.
  static func check(_ message: [UInt8]) -> Bool? {
    guard message.count >= mark.count, message.starts(with: mark) else { return nil }
    guard message.count >= headerSize else { return true }
    let number = message[mark.count..<headerSize].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    return message == make(number, size: message.count)
  }

  /// SplitMix64, a generator with good statistics and no secrets.
  private static func next(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }
}

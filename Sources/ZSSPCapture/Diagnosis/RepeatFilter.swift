// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Recognises datagrams that came before, among the latest ones. It may miss some.
struct RepeatFilter {
  private var seen: [UInt64]
  private let shift: UInt64

  /// Creates a filter that remembers `count` datagrams, a power of two greater than 1.
  init(count: Int) {
    seen = [UInt64](repeating: 0, count: count)
    shift = UInt64(64 - count.trailingZeroBitCount)
  }

  /// Returns true if a datagram with the same header came before. A header that is protected
  /// changes with the first bytes behind it.
  mutating func isRepeated(_ payload: RawSpan, salt: UInt16) -> Bool {
    guard payload.byteCount >= FragmentHeader.smallestDatagram else { return false }
    let end = payload.byteCount
    var mixed = UInt64(salt) << 32 | UInt64(end)
    for offset in [0, 8, 16, end - 8] {
      mixed = (mixed ^ payload.load(UInt64.self, at: offset)) &* 0x9E37_79B9_7F4A_7C15
      mixed ^= mixed >> 29
    }
    mixed |= 1
    let place = Int(mixed >> shift)
    if seen[place] == mixed { return true }
    seen[place] = mixed
    return false
  }
}

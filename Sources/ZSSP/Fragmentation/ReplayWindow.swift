// SPDX-License-Identifier: Apache-2.0

/// The received counters of a session, as a sliding bitmap in the manner of RFC 6479 (section 4).
///
/// The bitmap takes 1 KiB and spans exactly 8192 counters. Its upper end is the counter that
/// follows the newest accepted one.
package struct ReplayWindow: Sendable {
  // [CTR-9]
  /// The number of counters that the window spans.
  package static let span: UInt64 = 8192
  /// The largest distance of a counter from the upper end of the window.
  package static let largestStep: UInt64 = 1 << 24

  private var bits = InlineArray<128, UInt64>(repeating: 0)
  /// One more than the newest accepted counter.
  package private(set) var next: UInt64 = 0

  package init() {}

  /// Returns true if `counter` was not accepted before, is not older than the window, and is not
  /// too far ahead.
  package func accepts(_ counter: UInt64) -> Bool {
    // [CTR-6]
    if counter >= next { return counter - next < Self.largestStep }
    // [CTR-4] [CTR-5]
    return next - counter <= Self.span && !isSet(counter)
  }

  // [CTR-8]
  /// Marks `counter` as received. Call it after its packet was authenticated.
  ///
  /// - Returns: true if it was acceptable.
  package mutating func accept(_ counter: UInt64) -> Bool {
    guard accepts(counter) else { return false }
    acceptAcceptable(counter)
    return true
  }

  /// Marks `counter`. Call it only right after ``accepts(_:)`` returned true for it.
  mutating func acceptAcceptable(_ counter: UInt64) {
    if counter >= next {
      clear(from: next, through: counter)
      next = counter + 1
    }
    bits[word(counter)] |= bit(counter)
  }

  private func word(_ counter: UInt64) -> Int { Int(truncatingIfNeeded: counter >> 6) & 127 }
  private func bit(_ counter: UInt64) -> UInt64 { 1 << (counter & 63) }
  private func isSet(_ counter: UInt64) -> Bool { bits[word(counter)] & bit(counter) != 0 }

  /// Clears the bits of the counters `first...last`, which still describe counters one or more
  /// spans earlier.
  private mutating func clear(from first: UInt64, through last: UInt64) {
    guard last - first < Self.span else {
      bits = InlineArray(repeating: 0)
      return
    }
    var counter = first
    while counter <= last {
      // The bits of one word, from `counter` to the end of the word or to `last`.
      let end = min(counter | 63, last)
      let count = end - counter + 1
      let mask = count == 64 ? UInt64.max : ((1 << count) - 1) << (counter & 63)
      bits[word(counter)] &= ~mask
      counter = end + 1
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The way a packet is cut into fragments (section 5): as few as the MTU allows, with sizes that
/// differ by one byte at most, the larger ones first.
package struct FragmentPlan: Sendable {
  /// The number of fragments.
  package let count: Int
  /// The payload of the smaller fragments, in bytes.
  package let base: Int
  /// The number of fragments that carry one byte more.
  package let longer: Int

  /// Creates the plan for a packet of `size` bytes in datagrams of at most `mtu` bytes.
  package init(size: Int, mtu: Int) {
    let room = mtu - FragmentHeader.size
    // [FRAG-5]
    self.init(size: size, count: (size + room - 1) / room)
  }

  // [DEC-87]
  /// Creates the plan for a packet of `size` bytes in datagrams of at most `limit` bytes. Uses
  /// larger datagrams if there would be more than ``FragmentHeader/largestCount`` fragments.
  init(size: Int, largestOf limit: Int) {
    let room = limit - FragmentHeader.size
    // [FRAG-5]
    self.init(size: size, count: min(FragmentHeader.largestCount, (size + room - 1) / room))
  }

  /// Creates the plan for a packet of `size` bytes in `count` fragments.
  package init(size: Int, count: Int) {
    self.count = count
    // [FRAG-6]
    (base, longer) = size.quotientAndRemainder(dividingBy: count)
  }

  /// Returns the range of the packet that fragment `number` carries.
  package func range(_ number: Int) -> Range<Int> {
    let start = number * base + min(number, longer)
    return start..<start + base + (number < longer ? 1 : 0)
  }

  // [FRAG-8]
  /// Returns the size in bytes of the longest plaintext that fits into the largest number of
  /// fragments: `48·(M − 16) − 16`.
  package static func largestMessage(mtu: Int) -> Int {
    FragmentHeader.largestCount * (mtu - FragmentHeader.size) - PacketSize.tag
  }
}

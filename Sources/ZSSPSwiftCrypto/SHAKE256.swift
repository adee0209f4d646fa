// SPDX-License-Identifier: Apache-2.0

package import ZSSP

/// SHAKE256 and SHA3-256 (FIPS 202), the sponges over Keccak-f[1600] with a capacity of 512 bits.
///
/// Plain rather than fast, because a key exchange hashes one block. No branch or index depends on
/// the absorbed bytes, nothing is allocated, and the state is wiped.
package enum Keccak {
  /// Writes SHAKE256 (section 6.2) of `first || second` to `output`, and fills it.
  static func shake256(_ first: RawSpan, appending second: RawSpan, into output: inout MutableRawSpan) {
    sponge(first, appending: second, suffix: 0x1f, into: &output)
  }

  /// Returns `count` bytes of SHAKE256 of `first || second`.
  package static func shake256(_ first: RawSpan, appending second: RawSpan, count: Int) -> Secret {
    Secret(count: count) { shake256(first, appending: second, into: &$0) }
  }

  /// Writes SHA3-256 (section 6.1) of `first || second`, 32 bytes. Only the tests use it, to
  /// compare it with a known SHA3-256: it differs from SHAKE256 in the suffix only.
  static func sha3(_ first: RawSpan, appending second: RawSpan, into output: inout MutableRawSpan) {
    sponge(first, appending: second, suffix: 0x06, into: &output)
  }

  /// Absorbs, pads and squeezes (algorithm 8). `suffix` has the bits that distinguish the two
  /// functions, then the first bit of the padding, least significant bit first as section B.1
  /// numbers them.
  private static func sponge(
    _ first: RawSpan, appending second: RawSpan, suffix: UInt8, into output: inout MutableRawSpan
  ) {
    var state = KeccakState()
    defer { state.wipe() }
    state.absorb(first)
    state.absorb(second)
    state.pad(suffix)
    state.squeeze(into: &output)
  }
}

/// The state of a sponge, and the position in its block of the next byte to absorb or squeeze.
private struct KeccakState: ~Copyable {
  /// Lane `x + 5y` holds the bits `A[x, y, 0..<64]`, the least significant first (sections 3.1.2
  /// and B.1).
  private var lanes = InlineArray<25, UInt64>(repeating: 0)
  private var position = 0

  /// The size of a block in bytes: 1600 bits less the capacity.
  private static let rate = 136

  mutating func absorb(_ message: RawSpan) {
    for index in 0..<message.byteCount {
      add(message[byte: index], at: position)
      advance()
    }
  }

  /// Ends the message with the padding 1 0* 1 (section 5.1), whose first bit comes with the suffix.
  mutating func pad(_ suffix: UInt8) {
    add(suffix, at: position)
    add(0x80, at: Self.rate - 1)
    permute()
    position = 0
  }

  mutating func squeeze(into output: inout MutableRawSpan) {
    for index in 0..<output.byteCount {
      output.store(UInt8(truncatingIfNeeded: lanes[position / 8] >> UInt64(8 * (position % 8))), at: index)
      advance()
    }
  }

  private mutating func add(_ byte: UInt8, at position: Int) {
    lanes[position / 8] ^= UInt64(byte) << UInt64(8 * (position % 8))
  }

  private mutating func advance() {
    position += 1
    guard position == Self.rate else { return }
    permute()
    position = 0
  }

  /// Zeroes the state. It is not inlined, so that the compiler cannot see that the zeros are never
  /// read.
  @inline(never) mutating func wipe() {
    for index in lanes.indices { lanes[index] = 0 }
  }

  /// Keccak-f[1600]: 24 rounds of the five step mappings (sections 3.2 to 3.4).
  private mutating func permute() {
    for constant in roundConstants {
      // θ (section 3.2.1): adds to each lane the parities of two neighbouring columns.
      var parity = InlineArray<5, UInt64>(repeating: 0)
      for x in 0..<5 {
        parity[x] = lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]
      }
      for x in 0..<5 {
        let sum = parity[(x + 4) % 5] ^ rotated(parity[(x + 1) % 5], by: 1)
        for y in 0..<5 { lanes[x + 5 * y] ^= sum }
      }

      // ρ (section 3.2.2) turns each lane but the first, π (section 3.2.3) moves it.
      var carried = lanes[1]
      for step in walk {
        let displaced = lanes[step.lane]
        lanes[step.lane] = rotated(carried, by: step.rotation)
        carried = displaced
      }

      // χ (section 3.2.4): the only step that is not linear.
      for y in 0..<5 {
        var row = InlineArray<5, UInt64>(repeating: 0)
        for x in 0..<5 { row[x] = lanes[x + 5 * y] }
        for x in 0..<5 { lanes[x + 5 * y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]) }
      }

      // ι (section 3.2.5).
      lanes[0] ^= constant
    }
  }
}

/// The lanes but the first, in the order in which π moves one to the next, and the rotation by ρ of
/// the lane that arrives at each. π moves lane (x, y) to (y, 2x + 3y). The walk by which section
/// 3.2.2 finds the offsets takes the same steps, from (1, 0) back to it.
private let walk: [(lane: Int, rotation: Int)] = {
  var x = 1
  var y = 0
  return (0..<24).map { t in
    (x, y) = (y, (2 * x + 3 * y) % 5)
    return (x + 5 * y, (t + 1) * (t + 2) / 2 % 64)
  }
}()

private func rotated(_ lane: UInt64, by count: Int) -> UInt64 {
  lane &<< UInt64(count) | lane &>> UInt64(64 - count)
}

/// The constants `RC` of ι, one for each round: the output of the shift register of algorithm 5.
private let roundConstants: [UInt64] = [
  0x0000_0000_0000_0001, 0x0000_0000_0000_8082, 0x8000_0000_0000_808a, 0x8000_0000_8000_8000,
  0x0000_0000_0000_808b, 0x0000_0000_8000_0001, 0x8000_0000_8000_8081, 0x8000_0000_0000_8009,
  0x0000_0000_0000_008a, 0x0000_0000_0000_0088, 0x0000_0000_8000_8009, 0x0000_0000_8000_000a,
  0x0000_0000_8000_808b, 0x8000_0000_0000_008b, 0x8000_0000_0000_8089, 0x8000_0000_0000_8003,
  0x8000_0000_0000_8002, 0x8000_0000_0000_0080, 0x0000_0000_0000_800a, 0x8000_0000_8000_000a,
  0x8000_0000_8000_8081, 0x8000_0000_0000_8080, 0x0000_0000_8000_0001, 0x8000_0000_8000_8008,
]

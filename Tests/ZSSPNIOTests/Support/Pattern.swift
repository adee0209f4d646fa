// SPDX-License-Identifier: Apache-2.0
import ZSSPRandom

/// The messages of one direction: sizes and contents follow from a seed, so the receiver knows what
/// must come.
struct MessagePattern: Sendable {
  let seed: UInt64
  let largest: Int

  /// The message of a number. The first two are the smallest and the largest; small ones are as
  /// frequent as large ones on a logarithmic scale.
  func message(_ number: Int) -> [UInt8] {
    var generator = SplitMix64(seed: seed &+ UInt64(number) &* 0x1_0000_0001)
    let size: Int
    switch number {
    case 0: size = 1
    case 1: size = largest
    default:
      let bits = Int.random(in: 1...(Int.bitWidth - largest.leadingZeroBitCount), using: &generator)
      size = min(largest, Int.random(in: (1 << (bits - 1))..<(1 << bits), using: &generator))
    }
    // A word at each place that begins one, its number mixed in: as good as noise for this, and
    // cheap without optimization.
    let seed = generator.next()
    let words = (0..<UInt64((size + 7) / 8)).map { (seed &+ $0) &* 0x9E37_79B9_7F4A_7C15 }
    let message = words.withUnsafeBytes { Array($0.prefix(size)) }
    return message
  }
}

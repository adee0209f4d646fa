// SPDX-License-Identifier: Apache-2.0
import ZSSPRandom

/// A generator (xoshiro256**, seeded by SplitMix64) that gives the same numbers on every machine
/// and with every toolchain. Not for secrets.
public struct SimulationRandom: Sendable {
  private var state: (UInt64, UInt64, UInt64, UInt64)

  /// Makes a generator. Streams of one seed are independent of each other.
  public init(seed: UInt64, stream: UInt64 = 0) {
    var seeder = SplitMix64(seed: seed &+ stream &* 0xD1B5_4A32_D192_ED03)
    state = (seeder.next(), seeder.next(), seeder.next(), seeder.next())
  }

  /// Returns the next 64 bits.
  public mutating func next() -> UInt64 {
    func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 { word << count | word >> (64 - count) }
    let result = rotate(state.1 &* 5, 7) &* 9
    let shifted = state.1 << 17
    state.2 ^= state.0
    state.3 ^= state.1
    state.1 ^= state.2
    state.0 ^= state.3
    state.2 ^= shifted
    state.3 = rotate(state.3, 45)
    return result
  }

  /// Returns a number in `0..<bound`. `bound` must be positive, and small compared to 2^64.
  public mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

  /// Returns true with the given probability. It always draws, so that a change of one probability
  /// does not shift all other draws.
  public mutating func chance(_ probability: Double) -> Bool {
    Double(next() >> 11) * 0x1p-53 < probability
  }

  /// Returns a duration in `range`, in steps of a nanosecond.
  public mutating func duration(_ range: ClosedRange<Duration>) -> Duration {
    let span = (range.upperBound - range.lowerBound).nanoseconds
    return range.lowerBound + .nanoseconds(Int64(next() % UInt64(span + 1)))
  }

  /// Returns the time to the next event of a process with the given mean interval. The distribution
  /// is triangular instead of exponential, because logarithms differ between platforms.
  public mutating func interval(mean: Duration) -> Duration {
    let mean = mean.nanoseconds
    let sum = Int64(next() % UInt64(mean + 1)) + Int64(next() % UInt64(mean + 1))
    return .nanoseconds(max(1, sum))
  }
}

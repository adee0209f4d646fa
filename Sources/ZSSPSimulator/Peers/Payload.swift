// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPRandom

/// Distinguishable messages: the sender, the receiver and the number, and bytes that follow from
/// them.
enum Payload {
  static let headerSize = 24

  /// Makes message `number` from one peer to another.
  static func make(seed: UInt64, from: Int, to: Int, number: Int, size: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: max(size, headerSize))
    let key = SplitMix64.mix(seed ^ UInt64(from) << 48 ^ UInt64(to) << 32 ^ UInt64(number))
    bytes.withMutableBytes { bytes in
      bytes.store(UInt32(from), at: 0)
      bytes.store(UInt32(to), at: 4)
      bytes.store(UInt64(number), at: 8)
      bytes.store(UInt64(size), at: 16)
      var index = headerSize
      while index + 8 <= bytes.byteCount {
        bytes.store(SplitMix64.mix(key &+ UInt64(index)), at: index)
        index += 8
      }
      while index < bytes.byteCount {
        bytes.store(UInt8(truncatingIfNeeded: key), at: index)
        index += 1
      }
    }
    return bytes
  }

  /// Returns the sender, the receiver and the number; nil if the message was altered.
  static func check(_ bytes: [UInt8], seed: UInt64) -> (from: Int, to: Int, number: Int)? {
    guard bytes.count >= headerSize else { return nil }
    let span = bytes.rawBytes
    let from = Int(span.load(UInt32.self, at: 0))
    let to = Int(span.load(UInt32.self, at: 4))
    let number = Int(truncatingIfNeeded: span.load(UInt64.self, at: 8))
    let size = Int(truncatingIfNeeded: span.load(UInt64.self, at: 16))
    guard from < 1 << 16, to < 1 << 16, number >= 0, size == bytes.count else { return nil }
    guard make(seed: seed, from: from, to: to, number: number, size: size) == bytes else { return nil }
    return (from, to, number)
  }
}

/// The messages from one peer to another, and which of them arrived.
struct Flow: Sendable {
  private(set) var sent = 0
  private var seen: [Bool] = []
  private(set) var received = 0
  /// The number of the first message since calm began.
  var mark = 0
  private(set) var receivedSinceMark = 0

  mutating func send() -> Int {
    defer { sent += 1 }
    seen.append(false)
    return sent
  }

  /// Records an arrival. Returns false if the message arrived before, or was never sent.
  mutating func receive(_ number: Int) -> Bool {
    guard number < sent, !seen[number] else { return false }
    seen[number] = true
    received += 1
    if number >= mark { receivedSinceMark += 1 }
    return true
  }

  /// Counts from here on.
  mutating func setMark() {
    mark = sent
    receivedSinceMark = 0
  }
}

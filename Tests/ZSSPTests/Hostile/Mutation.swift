// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A change to one datagram of a packet.
enum Mutation: Sendable {
  case truncated(to: Int)
  case flipped(bit: Int)

  /// True if every bit has its turn. That takes minutes without optimisation, so a plain `swift
  /// test` takes a fixed sample.
  static let isFull = ProcessInfo.processInfo.environment["ZSSP_FULL_HOSTILE"] != nil

  /// All changes to a datagram of `size` bytes; or a sample, always the same: every bit of the 20
  /// bytes that hold the header, and of what follows, and of lengths, one in so many that each bit
  /// of a byte has its turn.
  static func all(size: Int) -> [Mutation] {
    let (bits, lengths) = size < 200 ? (11, 13) : (211, 61)
    return (0..<8 * size).filter { isFull || $0 < 8 * 20 || $0 % bits == 0 }.map { .flipped(bit: $0) }
      + (0..<size).filter { isFull || $0 % lengths == 0 || $0 == size - 1 }.map { .truncated(to: $0) }
  }

  /// Returns the datagram with the mutation.
  func apply(to datagram: [UInt8]) -> [UInt8] {
    switch self {
    case .truncated(let length): return Array(datagram.prefix(length))
    case .flipped(let bit):
      var copy = datagram
      copy[bit / 8] ^= 1 << UInt8(bit % 8)
      return copy
    }
  }

  /// The byte that is changed, if its bytes are all there.
  var flippedByte: Int? { if case .flipped(let bit) = self { bit / 8 } else { nil } }
}

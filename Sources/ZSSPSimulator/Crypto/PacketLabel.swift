// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// What a fragment is, as whoever made it knows: the part of its header that the protection hides.
///
/// The adversary is told, although it could not read it. A real one guesses from sizes and times, and is right often enough.
struct PacketLabel: Sendable, Hashable {
  let type: PacketType
  let counter: UInt64
  /// The number of the fragment, and of how many.
  let number, count: Int

  /// Reads the block of a header before it is protected. Nil for what is no header.
  init?(protected block: RawSpan) {
    (number, count) = (Int(block[byte: 0]), Int(block[byte: 1]))
    guard number < count, let type = PacketType(rawValue: block[byte: 3]) else { return nil }
    self.type = type
    counter = block.load(UInt64.self, at: 4)
  }

  /// Reads the header of a datagram that is never protected: a Hello or a challenge. Nil for any other.
  init?(unprotected datagram: [UInt8]) {
    guard datagram.count >= FragmentHeader.smallestDatagram, KeyID(datagram.rawBytes) == .none,
      let header = FragmentHeader(datagram.rawBytes), let type = PacketType(rawValue: header.type)
    else { return nil }
    self.type = type
    counter = header.counter
    (number, count) = (Int(header.number), Int(header.count))
  }
}

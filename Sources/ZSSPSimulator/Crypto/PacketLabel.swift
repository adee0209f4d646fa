// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The part of a fragment's header that the protection hides.
///
/// The adversary is told, although it could not read it. A real one can guess it from sizes and
/// times.
struct PacketLabel: Sendable, Hashable {
  let type: PacketType
  let counter: UInt64
  /// The number of the fragment, and the number of fragments.
  let number, count: Int

  /// Parses a header block before its protection; nil if it is none.
  init?(protected block: RawSpan) {
    number = Int(block[byte: 0])
    count = Int(block[byte: 1])
    guard number < count, let type = PacketType(rawValue: block[byte: 3]) else { return nil }
    self.type = type
    counter = block.load(UInt64.self, at: 4)
  }

  /// Parses the header of a datagram that is never protected: a Hello or a challenge. Nil for any
  /// other.
  init?(unprotected datagram: [UInt8]) {
    guard datagram.count >= FragmentHeader.smallestDatagram, KeyID(datagram.rawBytes) == .none,
      let header = FragmentHeader(datagram.rawBytes), let type = PacketType(rawValue: header.type)
    else { return nil }
    self.type = type
    counter = header.counter
    number = Int(header.number)
    count = Int(header.count)
  }
}

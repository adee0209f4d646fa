// SPDX-License-Identifier: Apache-2.0

/// The 16 bytes in front of every fragment (section 5).
package struct FragmentHeader: Hashable, Sendable {
  /// The receiver's id of the key; 0 for X1 and challenges.
  package var keyID: KeyID
  /// The number of the fragment, 0 to `count` − 1.
  package var number: UInt8
  /// The number of fragments of the packet, 1 to 48.
  package var count: UInt8
  /// A reserved byte. It is sent as 0, but is part of the AEAD nonce, so it is kept as received.
  package var reserved: UInt8
  /// The raw value of a ``PacketType``; any byte in a forged header.
  package var type: UInt8
  /// The counter of the packet nonce.
  package var counter: UInt64

  package static let size = 16
  // [HDR-1]
  /// The protected bytes 4..<20 are one AES block.
  package static let protectedBytes = 4..<20
  // [FRAG-7]
  /// The smallest accepted size of a datagram, in bytes. Shorter ones are dropped.
  package static let smallestDatagram = 32
  /// The largest number of fragments of a packet. Packets with more are dropped.
  package static let largestCount = 48

  package init(keyID: KeyID, number: Int, count: Int, type: PacketType, counter: UInt64) {
    self.keyID = keyID
    self.number = UInt8(truncatingIfNeeded: number)
    self.count = UInt8(truncatingIfNeeded: count)
    // [PKT-3]
    self.reserved = 0
    self.type = type.rawValue
    self.counter = counter
  }

  /// Reads a header without protection. `datagram` must have at least 16 bytes. Returns nil if the
  /// fragment number is not below the count, or the count is above the limit.
  package init?(_ datagram: RawSpan) {
    keyID = KeyID(datagram)
    number = datagram[byte: 4]
    count = datagram[byte: 5]
    // [PKT-4]
    reserved = datagram[byte: 6]
    type = datagram[byte: 7]
    counter = datagram.load(UInt64.self, at: 8)
    // [FRAG-2] [FRAG-18]
    guard number < count, count <= Self.largestCount else { return nil }
  }

  /// True if the fragment is a whole data packet.
  package var isWholeData: Bool { count == 1 && type == PacketType.data.rawValue }

  /// True if the fragment is one of several of a data packet.
  package var isPartOfData: Bool { count > 1 && type == PacketType.data.rawValue }

  /// The nonce that the packet was sealed with.
  package var nonce: Nonce { Nonce(type: type, counter: counter, reserved: reserved) }

  // [FRAG-3]
  /// Writes the header to the first 16 bytes of `datagram`.
  package func write(to datagram: inout MutableRawSpan) {
    datagram.store(keyID.value, at: 0)
    let rest = UInt32(number) << 24 | UInt32(count) << 16 | UInt32(reserved) << 8 | UInt32(type)
    datagram.store(rest, at: 4)
    datagram.store(counter, at: 8)
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The name of a key at its owner: four bytes that the peer writes in the headers of its packets
/// (section 4).
///
/// Zero names no key: the packets of strangers carry it. The owner may fix some bits of all others,
/// so that a dispatcher of datagrams finds the owner without a table: see ``Shard`` and
/// ``Settings/node``.
public struct KeyID: Hashable, Sendable {
  /// The first four bytes of a datagram as a big-endian integer.
  public let value: UInt32

  // [FRAG-1]
  /// The key id of the packets of strangers.
  public static let none = KeyID(value: 0)
  /// The size in bytes.
  public static let size = 4

  /// Creates a key id of its value.
  public init(value: UInt32) { self.value = value }

  /// Reads the key id at the beginning of a datagram. Nil if the datagram is shorter than four
  /// bytes.
  public init?(datagram: RawSpan) {
    guard datagram.byteCount >= Self.size else { return nil }
    self.init(datagram)
  }

  /// Reads the key id that tells the recipient of a datagram: the one at its beginning, or in a
  /// challenge the one after the header. Nil for a Hello, and for a datagram that is too short.
  public init?(addressee datagram: RawSpan) {
    guard datagram.byteCount >= FragmentHeader.smallestDatagram else { return nil }
    let keyID = KeyID(datagram)
    if keyID != .none {
      self = keyID
    } else if FragmentHeader(datagram)?.type == PacketType.challenge.rawValue {
      // Strangers' packets have no header protection (section 8).
      self.init(value: datagram.load(UInt32.self, at: FragmentHeader.size))
    } else {
      return nil
    }
  }

  /// Reads the key id in the first four bytes of `bytes`.
  package init(_ bytes: RawSpan) { value = bytes.load(UInt32.self, at: 0) }

  package var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }

  /// Returns the index of the shard that issued the id, of `count` shards: the low bits. ``Shard``
  /// defines the valid counts. The result for ``none`` has no meaning.
  public func shard(of count: Int) -> Int { Int(value) & (count - 1) }

  /// Returns the number of the node that issued the id: its highest `bits` bits, 0 to 16.
  public func node(bits: Int) -> Int { Int(value) >> (32 - bits) }
}

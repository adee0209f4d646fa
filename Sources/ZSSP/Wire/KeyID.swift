// SPDX-License-Identifier: Apache-2.0

/// Names a key at its owner: four bytes that the peer writes in the header of what it sends (section 4).
///
/// Zero is no key: the packets of strangers carry it. Of any other the owner may fix some bits, so that whoever hands out
/// datagrams finds the owner without a table: see ``Shard`` and ``Settings/node``.
public struct KeyID: Hashable, Sendable {
  /// The first four bytes of a datagram as a big-endian integer.
  public let value: UInt32

  // [FRAG-1]
  /// What the packets of strangers carry.
  public static let none = KeyID(value: 0)
  /// The size in bytes.
  public static let size = 4

  /// The id of a value.
  public init(value: UInt32) { self.value = value }

  /// The key id that a datagram begins with; nil if it is shorter than four bytes.
  public init?(datagram: RawSpan) {
    guard datagram.byteCount >= Self.size else { return nil }
    self.init(datagram)
  }

  /// The key id that says whom a datagram is for: the one that it begins with, or in a challenge the one behind the header.
  /// Nil for a Hello, and for what is too short.
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

  /// The key id in the first four bytes of `bytes`.
  package init(_ bytes: RawSpan) { value = bytes.load(UInt32.self, at: 0) }

  package var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }

  /// Which of `count` shards handed out the id: its low bits. `count` is one that ``Shard`` allows, and for ``none`` the
  /// result says nothing, since strangers do not know any shard.
  public func shard(of count: Int) -> Int { Int(value) & (count - 1) }

  /// Which node handed out the id: its highest `bits` bits, 0…16.
  public func node(bits: Int) -> Int { Int(value) >> (32 - bits) }
}

// SPDX-License-Identifier: Apache-2.0

/// An AES-GCM nonce, 12 bytes: `00 00 || reserved || type || counter` (section 4).
///
/// The last ten bytes are the packet nonce that travels in the fragment header.
public struct Nonce: Sendable, Hashable {
  /// The reserved byte of the header: sent as zero, taken as received.
  public let reserved: UInt8
  /// The packet type, as a byte.
  public let type: UInt8
  /// The counter.
  public let counter: UInt64

  /// The size in bytes.
  public static let size = 12

  /// A nonce written `type‖counter` in the specification.
  public init(type: UInt8, counter: UInt64, reserved: UInt8 = 0) {
    self.reserved = reserved
    self.type = type
    self.counter = counter
  }

  init(_ type: PacketType, _ counter: UInt64) { self.init(type: type.rawValue, counter: counter) }

  /// The first four bytes as a big-endian integer.
  @inlinable public var high: UInt32 { UInt32(reserved) << 8 | UInt32(type) }

  /// The twelve bytes.
  public var bytes: InlineArray<12, UInt8> {
    var bytes = InlineArray<12, UInt8>(repeating: 0)
    do {
      var elements = bytes.mutableSpan
      var raw = unsafe elements.mutableBytes
      raw.store(high, at: 0)
      raw.store(counter, at: 4)
    }
    return bytes
  }
}

// SPDX-License-Identifier: Apache-2.0

/// An AES-GCM nonce, 12 bytes: `00 00 || reserved || type || counter` (section 4).
///
/// The last ten bytes are the packet nonce that travels in the fragment header.
public struct Nonce: Sendable, Hashable {
  /// The first four bytes as a big-endian integer.
  public let high: UInt32
  /// The counter.
  public let counter: UInt64

  /// The size in bytes.
  public static let size = 12

  /// Creates the nonce that the specification writes `type‖counter`.
  public init(type: UInt8, counter: UInt64, reserved: UInt8 = 0) {
    high = UInt32(reserved) << 8 | UInt32(type)
    self.counter = counter
  }

  /// Creates a nonce of any twelve bytes, also such as no packet has. Known-answer tests need it.
  package init(_ bytes: InlineArray<12, UInt8>) {
    high = unsafe bytes.span.bytes.load(UInt32.self, at: 0)
    counter = unsafe bytes.span.bytes.load(UInt64.self, at: 4)
  }

  init(_ type: PacketType, counter: UInt64) { self.init(type: type.rawValue, counter: counter) }

  // [PKT-4]
  /// The reserved byte of the header. It is sent as zero, and used as received.
  public var reserved: UInt8 { UInt8(truncatingIfNeeded: high >> 8) }
  /// The packet type, as a byte.
  public var type: UInt8 { UInt8(truncatingIfNeeded: high) }

  // [PKT-2]
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

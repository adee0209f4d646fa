// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The Internet's checksum (RFC 1071): the complement of the one's complement sum of 16-bit words.
///
/// Sums are kept in the processor's byte order, and wider than 16 bits until the end. They are
/// correct when stored in the same order.
enum Checksum {
  /// Adds bytes to a sum. Only the last part of the summed data may have an odd number of bytes.
  static func sum(_ bytes: RawSpan, initial: UInt64 = 0) -> UInt64 {
    // Halves of words are summed separately, so that nothing carries and the compiler can
    // vectorise. 64 KiB are far from an overflow.
    var low = 0 as UInt64
    var high = 0 as UInt64
    let count = bytes.byteCount
    let words = bytes.byteCount & ~7
    bytes.withUnsafeBytes { bytes in
      var offset = 0
      while offset < words {
        let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        low &+= word & 0xFFFF_FFFF
        high &+= word >> 32
        offset &+= 8
      }
    }
    var rest = 0 as UInt64
    for offset in words..<count { rest |= UInt64(bytes[byte: offset]) << UInt64(8 * (offset - words)) }
    return initial + UInt64(folded32(low + high)) + UInt64(folded32(rest))
  }

  /// Folds a sum to 32 bits. Carries are added back.
  private static func folded32(_ sum: UInt64) -> UInt32 {
    let once = (sum & 0xFFFF_FFFF) + sum >> 32
    return UInt32(truncatingIfNeeded: (once & 0xFFFF_FFFF) + once >> 32)
  }

  /// Folds a sum to 16 bits, in the processor's byte order.
  static func folded(_ sum: UInt64) -> UInt16 {
    let half = UInt64(folded32(sum))
    let once = (half & 0xFFFF) + half >> 16
    return UInt16(truncatingIfNeeded: (once & 0xFFFF) + once >> 16)
  }

  /// Returns the sum of the pseudo-header (RFC 9293, section 3.1; RFC 8200, section 8.1).
  ///
  /// - Parameters:
  ///   - packet: An IP packet.
  ///   - isV6: True for IPv6, false for IPv4.
  ///   - transport: The number of the protocol, 6 or 17.
  ///   - length: The number of bytes after the IP header.
  static func pseudoHeader(_ packet: RawSpan, isV6: Bool, transport: UInt8, length: Int) -> UInt64 {
    let addresses = isV6 ? packet.extracting(8..<40) : packet.extracting(12..<20)
    let numbers = UInt64(UInt16(transport).bigEndian) + UInt64(UInt32(length).bigEndian)
    return sum(addresses, initial: numbers)
  }

  /// Computes and writes the checksum of an IPv4 header.
  static func completeHeader(_ packet: inout MutableRawSpan, size: Int) {
    packet.storeBytes(of: 0, toByteOffset: 10, as: UInt16.self)
    let checksum = ~folded(sum(packet.bytes.extracting(0..<size)))
    packet.storeBytes(of: checksum, toByteOffset: 10, as: UInt16.self)
  }
}

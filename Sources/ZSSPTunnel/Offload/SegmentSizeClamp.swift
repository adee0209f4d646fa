// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Lowers the maximum segment size that the two sides of a TCP connection announce (RFC 9293,
/// section 3.7.1), where the path to the peer takes less. So connections fit from the start, even
/// where ICMP is blocked.
enum SegmentSizeClamp {
  private static let tcp: UInt8 = 6
  private static let synchronize: UInt8 = 0x02
  private static let laterFragment: UInt16 = 0x1FFF
  private static let option: UInt8 = 2

  /// Returns true if a packet, of at least 20 bytes, opens a TCP connection.
  @inline(__always)
  static func opensConnection(_ packet: RawSpan) -> Bool {
    let isV6 = packet[byte: 0] >> 4 == 6
    guard isV6 ? packet[byte: 6] == tcp : packet[byte: 9] == tcp else { return false }
    let start = isV6 ? InnerPacket.v6HeaderSize : Int(packet[byte: 0] & 15) * 4
    return packet.byteCount >= start + 20 && packet[byte: start + 13] & synchronize != 0
      && (isV6 || packet.load(UInt16.self, at: 6) & laterFragment == 0)
  }

  /// Lowers the maximum segment size in a packet that opens a connection.
  ///
  /// - Parameters:
  ///   - packet: The packet, which is changed in place.
  ///   - limit: The size in bytes of the largest packet that passes.
  ///   - isPartial: True if the checksum is not complete yet; it will then cover the new value.
  static func clamp(_ packet: inout MutableRawSpan, limit: Int, isPartial: Bool) {
    let isV6 = packet[byte: 0] >> 4 == 6
    let start = isV6 ? InnerPacket.v6HeaderSize : Int(packet[byte: 0] & 15) * 4
    let size = UInt16(clamping: limit - 20 - (isV6 ? InnerPacket.v6HeaderSize : InnerPacket.v4HeaderSize))
    let end = min(packet.byteCount, start + Int(packet[byte: start + 12] >> 4) * 4)
    guard let place = place(in: packet.bytes, options: start + 20..<max(start + 20, end)) else { return }
    let former = packet.bytes.load(UInt16.self, at: place)
    guard former > size else { return }
    packet.store(size, at: place)
    guard !isPartial else { return }
    // At an odd offset the bytes of a word are swapped.
    let isOdd = !(place - start).isMultiple(of: 2)
    correct(&packet, at: start + 16, from: isOdd ? former.byteSwapped : former, to: isOdd ? size.byteSwapped : size)
  }

  /// Returns the offset of the maximum segment size in the options; nil if it is missing.
  private static func place(in packet: RawSpan, options: Range<Int>) -> Int? {
    var place = options.lowerBound
    while place + 1 < options.upperBound {
      switch packet[byte: place] {
      case 0: return nil
      case 1: place += 1
      case option: return packet[byte: place + 1] == 4 && place + 4 <= options.upperBound ? place + 2 : nil
      default:
        // Invalid data ends the options.
        guard packet[byte: place + 1] >= 2 else { return nil }
        place += Int(packet[byte: place + 1])
      }
    }
    return nil
  }

  /// Updates a checksum after a change of a word that it covers (RFC 1624).
  private static func correct(_ packet: inout MutableRawSpan, at place: Int, from former: UInt16, to next: UInt16) {
    var sum = UInt32(~packet.bytes.load(UInt16.self, at: place)) + UInt32(~former) + UInt32(next)
    sum = (sum & 0xFFFF) + sum >> 16
    sum = (sum & 0xFFFF) + sum >> 16
    packet.store(~UInt16(truncatingIfNeeded: sum), at: place)
  }
}

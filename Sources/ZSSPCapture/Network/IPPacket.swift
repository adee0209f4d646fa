// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The header of an IP packet, or of one of its fragments. It has no bytes of its own: offsets
/// refer to the frame.
struct IPPacket {
  /// The largest number of extension headers of IPv6 that are followed.
  static let largestExtensionCount = 8

  /// The protocols that matter here.
  enum Transport {
    static let icmp: UInt8 = 1
    static let udp: UInt8 = 17
    static let icmpV6: UInt8 = 58
  }

  /// Source and destination, with port 0.
  var source: Address
  var destination: Address
  var transport: UInt8
  /// The bytes behind all headers, as far as the capture has them.
  var payload: Range<Int>
  /// The size of these bytes in the packet itself.
  var payloadSize: Int
  /// The size of the packet.
  var size: Int
  /// True if routers must not cut the packet: always for IPv6.
  var isDontFragment: Bool
  /// The place of a fragment. Nil for a whole packet.
  var fragment: Fragment?

  struct Fragment {
    var id: UInt32
    var offset: Int
    var hasMore: Bool
  }

  /// Reads the header at `start`. Returns nil if there is none, or it is cut or impossible.
  init?(_ frame: RawSpan, at start: Int) {
    guard start < frame.byteCount else { return nil }
    switch frame[byte: start] >> 4 {
    case 4: self.init(ipv4: frame, at: start)
    case 6: self.init(ipv6: frame, at: start)
    default: return nil
    }
  }

  private init?(ipv4 frame: RawSpan, at start: Int) {
    guard start + 20 <= frame.byteCount else { return nil }
    let headerSize = Int(frame[byte: start] & 15) * 4
    guard headerSize >= 20, start + headerSize <= frame.byteCount else { return nil }
    var total = Int(frame.load(UInt16.self, at: start + 2))
    // A system that lets its network device cut leaves the length to it.
    if total == 0 { total = frame.byteCount - start }
    guard total >= headerSize else { return nil }
    let flags = frame.load(UInt16.self, at: start + 6)
    source = Address(ipv4: frame.load(UInt32.self, at: start + 12), port: 0)
    destination = Address(ipv4: frame.load(UInt32.self, at: start + 16), port: 0)
    transport = frame[byte: start + 9]
    size = total
    payloadSize = total - headerSize
    payload = start + headerSize..<min(frame.byteCount, start + total)
    isDontFragment = flags & 0x4000 != 0
    let offset = Int(flags & 0x1FFF) * 8
    if flags & 0x2000 != 0 || offset > 0 {
      fragment = Fragment(
        id: UInt32(frame.load(UInt16.self, at: start + 4)), offset: offset, hasMore: flags & 0x2000 != 0)
    }
  }

  private init?(ipv6 frame: RawSpan, at start: Int) {
    guard start + 40 <= frame.byteCount else { return nil }
    let announced = Int(frame.load(UInt16.self, at: start + 4))
    let total = announced == 0 ? frame.byteCount - start - 40 : announced
    let end = min(frame.byteCount, start + 40 + total)
    source = Address(
      ipv6: frame.load(UInt64.self, at: start + 8), frame.load(UInt64.self, at: start + 16), port: 0)
    destination = Address(
      ipv6: frame.load(UInt64.self, at: start + 24), frame.load(UInt64.self, at: start + 32), port: 0)
    size = 40 + total
    isDontFragment = true
    var next = frame[byte: start + 6]
    var position = start + 40
    for _ in 0..<Self.largestExtensionCount {
      let extent: Int
      switch next {
      // Hop-by-hop options, routing, destination options
      case 0, 43, 60:
        guard position + 8 <= end else { return nil }
        extent = 8 + Int(frame[byte: position + 1]) * 8
      // Fragment
      case 44:
        guard position + 8 <= end else { return nil }
        extent = 8
        let place = frame.load(UInt16.self, at: position + 2)
        let isWhole = place & 0xFFF9 == 0
        if !isWhole {
          fragment = Fragment(
            id: frame.load(UInt32.self, at: position + 4), offset: Int(place & 0xFFF8), hasMore: place & 1 != 0)
        }
      // Authentication
      case 51:
        guard position + 8 <= end else { return nil }
        extent = 8 + Int(frame[byte: position + 1]) * 4
      default:
        transport = next
        payload = position..<end
        payloadSize = start + 40 + total - position
        return
      }
      guard position + extent <= end else { return nil }
      // The first eight bytes were read above.
      next = frame[byte: position]
      position += extent
      // What follows a later fragment is no header.
      if let fragment, fragment.offset > 0 {
        transport = next
        payload = position..<end
        payloadSize = start + 40 + total - position
        return
      }
    }
    return nil
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The headers in front of an IP packet.
enum LinkLayer {
  /// The largest number of VLAN tags that are skipped.
  static let largestTagCount = 4

  /// Returns true if the headers of a link are known: Ethernet, Linux "cooked", IP, loopback.
  static func isKnown(_ link: Int) -> Bool { [1, 113, 276, 12, 14, 101, 228, 229, 0, 108].contains(link) }

  /// Returns where the IP packet of a frame begins; nil if the frame has none, or is cut before.
  static func ipOffset(_ frame: RawSpan, link: Int) -> Int? {
    switch link {
    // Ethernet
    case 1: return offset(frame, typeAt: 12)
    // Linux "cooked", versions 1 and 2
    case 113: return offset(frame, typeAt: 14)
    case 276: return offset(frame, typeAt: 0, headerSize: 20)
    // Raw IP; the first numbers come from systems that wrote their own into files.
    case 12, 14, 101, 228, 229: return 0
    // Loopback: the address family in the byte order of the host that captured, or in the network's
    case 0, 108: return loopback(frame)
    default: return nil
    }
  }

  /// Returns the offset of the IP packet behind a type of Ethernet and VLAN tags.
  private static func offset(_ frame: RawSpan, typeAt position: Int, headerSize: Int? = nil) -> Int? {
    var typePosition = position
    var next = headerSize ?? position + 2
    for _ in 0...largestTagCount {
      guard next <= frame.byteCount, typePosition + 2 <= frame.byteCount else { return nil }
      switch frame.load(UInt16.self, at: typePosition) {
      case 0x0800, 0x86DD: return next
      case 0x8100, 0x88A8, 0x9100, 0x9200:
        typePosition = next + 2
        next += 4
      default: return nil
      }
    }
    return nil
  }

  private static func loopback(_ frame: RawSpan) -> Int? {
    guard frame.byteCount >= 4 else { return nil }
    let family = frame.load(UInt32.self, at: 0)
    switch family > 0xFFFF ? family.byteSwapped : family {
    // AF_INET; AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, and macOS
    case 2, 10, 24, 28, 30: return 4
    default: return nil
    }
  }
}

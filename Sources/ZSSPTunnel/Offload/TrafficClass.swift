// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// What datagrams of the tunnel have in the differentiated services field (RFC 2474).
public enum DSCPPolicy: Sendable, Equatable {
  /// That of the packet in them.
  case copy
  /// 0…63, whatever is in them.
  case fixed(UInt8)
}

/// The six bits of DSCP and the two of ECN in the header of a packet: the type of service of IPv4, the traffic class of IPv6.
struct TrafficClass {
  private static let congestionMask: UInt8 = 3
  private static let notCapable: UInt8 = 0
  private static let congested: UInt8 = 3

  /// Reads that of a packet of IP, which has at least two bytes.
  static func of(_ packet: RawSpan) -> UInt8 {
    packet[byte: 0] >> 4 == 6 ? packet[byte: 0] << 4 | packet[byte: 1] >> 4 : packet[byte: 1]
  }

  /// Returns what the datagram of a packet gets (RFC 6040, section 4.1).
  ///
  /// - Parameters:
  ///   - inner: that of the packet.
  ///   - copiesCongestion: whether the other side brings back what the network says of congestion. If it does not, the datagram
  ///     must not say that it does (compatibility mode).
  static func outer(of inner: UInt8, _ policy: DSCPPolicy, copiesCongestion: Bool) -> UInt8 {
    let services: UInt8 =
      switch policy {
      case .copy: inner & ~congestionMask
      case .fixed(let value): value << 2
      }
    return services | (copiesCongestion ? inner & congestionMask : notCapable)
  }

  /// What becomes of a packet whose datagram came with a mark (RFC 6040, section 4.2).
  enum Outcome: Equatable {
    /// It goes on as it is.
    case unchanged
    /// It gets this in the two bits of ECN.
    case marked(UInt8)
    /// It is dropped: the network is congested, and its sender knows no other sign of that.
    case dropped
  }

  /// Decides what becomes of a packet.
  ///
  /// - Parameters:
  ///   - inner: the packet's own.
  ///   - outer: that of its datagram.
  static func outcome(inner: UInt8, outer: UInt8) -> Outcome {
    switch (inner & congestionMask, outer & congestionMask) {
    case (notCapable, congested): .dropped
    case (congested, _), (notCapable, _): .unchanged
    case (_, congested): .marked(congested)
    case (2, 1): .marked(1)
    default: .unchanged
    }
  }

  /// Writes the two bits of ECN of a packet, and the checksum of an IPv4 header.
  static func mark(_ packet: inout MutableRawSpan, _ bits: UInt8) {
    if packet[byte: 0] >> 4 == 6 {
      packet.store(packet[byte: 1] & ~(congestionMask << 4) | bits << 4, at: 1)
    } else {
      packet.store(packet[byte: 1] & ~congestionMask | bits, at: 1)
      Checksum.completeHeader(&packet, size: Int(packet[byte: 0] & 15) * 4)
    }
  }
}

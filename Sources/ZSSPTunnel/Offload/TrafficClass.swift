// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The policy for the differentiated services field of the tunnel's datagrams (RFC 2474).
public enum DSCPPolicy: Sendable, Equatable {
  /// The code point of the packet inside.
  case copy
  /// A fixed code point, 0…63.
  case fixed(UInt8)
}

/// The DSCP (six bits) and ECN (two bits) of a packet: the IPv4 type of service or IPv6 traffic
/// class.
struct TrafficClass {
  private static let congestionMask: UInt8 = 3
  private static let notCapable: UInt8 = 0
  private static let congested: UInt8 = 3

  /// Returns the traffic class of an IP packet of at least two bytes.
  static func of(_ packet: RawSpan) -> UInt8 {
    packet[byte: 0] >> 4 == 6 ? packet[byte: 0] << 4 | packet[byte: 1] >> 4 : packet[byte: 1]
  }

  /// Returns the traffic class of the datagram for a packet (RFC 6040, section 4.1).
  ///
  /// - Parameters:
  ///   - inner: The traffic class of the packet.
  ///   - policy: The policy for DSCP.
  ///   - copiesCongestion: True if the other side evaluates congestion marks. Otherwise the
  ///     datagram must not claim support for them (compatibility mode).
  static func outer(of inner: UInt8, _ policy: DSCPPolicy, copiesCongestion: Bool) -> UInt8 {
    let services: UInt8 =
      switch policy {
      case .copy: inner & ~congestionMask
      case .fixed(let value): value << 2
      }
    return services | (copiesCongestion ? inner & congestionMask : notCapable)
  }

  /// The result for a packet whose datagram may carry a mark (RFC 6040, section 4.2).
  enum Outcome: Equatable {
    /// The packet passes unchanged.
    case unchanged
    /// The ECN bits of the packet are set to this value.
    case marked(UInt8)
    /// The packet is dropped: the network is congested, and the packet's sender knows no other sign
    /// of that.
    case dropped
  }

  /// Returns the result for a packet.
  ///
  /// - Parameters:
  ///   - inner: The traffic class of the packet.
  ///   - outer: The traffic class of its datagram.
  static func outcome(inner: UInt8, outer: UInt8) -> Outcome {
    switch (inner & congestionMask, outer & congestionMask) {
    case (notCapable, congested): .dropped
    case (congested, _), (notCapable, _): .unchanged
    case (_, congested): .marked(congested)
    case (2, 1): .marked(1)
    default: .unchanged
    }
  }

  /// Sets the ECN bits of a packet, and updates the checksum of an IPv4 header.
  static func mark(_ packet: inout MutableRawSpan, with bits: UInt8) {
    if packet[byte: 0] >> 4 == 6 {
      packet.store(packet[byte: 1] & ~(congestionMask << 4) | bits << 4, at: 1)
    } else {
      packet.store(packet[byte: 1] & ~congestionMask | bits, at: 1)
      Checksum.completeHeader(&packet, size: Int(packet[byte: 0] & 15) * 4)
    }
  }
}

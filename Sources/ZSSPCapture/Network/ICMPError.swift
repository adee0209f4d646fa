// SPDX-License-Identifier: Apache-2.0
package import ZSSP

/// An error of ICMP that quotes a UDP datagram.
package struct ICMPError: Equatable {
  package enum Problem: Equatable {
    /// The datagram is larger than the path takes, in bytes of the IP packet; 0 if unknown.
    case tooBig(mtu: Int)
    /// Nothing listens on the port.
    case portUnreachable
    /// A firewall refuses the datagram.
    case prohibited
    /// No route, or no such host.
    case unreachable
  }

  package var problem: Problem
  /// The source and destination of the quoted datagram.
  package var source: Address
  package var destination: Address

  /// Reads an error in the payload of an IP packet. Returns nil if it is something else.
  init?(_ message: RawSpan, isIPv6: Bool) {
    guard message.byteCount >= 8 else { return nil }
    let code = message[byte: 1]
    switch (isIPv6, message[byte: 0]) {
    case (false, 3):
      switch code {
      case 3: problem = .portUnreachable
      case 4: problem = .tooBig(mtu: Int(message.load(UInt16.self, at: 6)))
      case 9, 10, 13: problem = .prohibited
      default: problem = .unreachable
      }
    case (true, 2): problem = .tooBig(mtu: Int(clamping: message.load(UInt32.self, at: 4)))
    case (true, 1):
      switch code {
      case 4: problem = .portUnreachable
      case 1, 5: problem = .prohibited
      default: problem = .unreachable
      }
    default: return nil
    }
    guard let quoted = IPPacket(message, at: 8), quoted.transport == IPPacket.Transport.udp,
      quoted.fragment.map({ $0.offset == 0 }) ?? true, quoted.payload.count >= 4
    else { return nil }
    let start = quoted.payload.lowerBound
    source = quoted.source.withPort(message.load(UInt16.self, at: start))
    destination = quoted.destination.withPort(message.load(UInt16.self, at: start + 2))
  }
}

extension Address {
  /// Returns the same host with a port.
  func withPort(_ port: UInt16) -> Address {
    switch family {
    case .ipv4: Address(ipv4: UInt32(truncatingIfNeeded: low), port: port)
    case .ipv6: Address(ipv6: high, low, port: port)
    }
  }
}

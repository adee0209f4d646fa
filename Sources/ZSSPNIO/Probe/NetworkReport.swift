// SPDX-License-Identifier: Apache-2.0
package import ZSSP

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A report of the network about a datagram that was sent: of ICMP, or of this host. Reports are
/// not authentic.
package struct NetworkReport: Sendable, Hashable {
  /// The kinds of reports.
  package enum Kind: String, Sendable, CaseIterable {
    /// The host has no socket on the port. Firewalls that reject send it, too.
    case portUnreachable
    /// The last router, or this host, gets no answer from the host's link address.
    case hostUnreachable
    /// A router, or this host, has no route.
    case networkUnreachable
    /// A firewall says that it rejects the datagram.
    case prohibited
    /// The datagram is larger than a link of the path takes.
    case tooBig
    /// The datagram passed too many routers: a loop.
    case timeExceeded
    /// This host's device, or its queue, has no room for the datagram.
    case noBuffers
    case other
  }

  package let kind: Kind
  /// The system's words.
  package let text: String
  /// The router or host that sent the report; nil if it is unknown, or this host.
  package let reporter: Address?
  /// The size limit of `tooBig`: the largest size of packets in bytes, with the IP header.
  package let mtu: Int?

  package init(_ kind: Kind, text: String = "", reporter: Address? = nil, mtu: Int? = nil) {
    self.kind = kind
    self.text = text
    self.reporter = reporter
    self.mtu = mtu
  }

  /// The protocol that a report came by.
  enum Origin: UInt8 {
    case local = 1
    case icmp = 2
    case icmp6 = 3
  }

  /// Makes the report of an error number, and of the type and code of ICMP if it came by that.
  init(
    error: CInt, origin: Origin?, type: UInt8 = 0, code: UInt8 = 0, reporter: Address? = nil, mtu: Int? = nil
  ) {
    self.init(
      Self.kind(origin: origin, type: type, code: code) ?? Self.kind(error),
      text: String(cString: strerror(error)), reporter: reporter, mtu: mtu.flatMap { $0 > 0 ? $0 : nil })
  }

  private static func kind(origin: Origin?, type: UInt8, code: UInt8) -> Kind? {
    switch (origin, type, code) {
    // RFC 792, RFC 1122 and RFC 1812.
    case (.icmp, 3, 9), (.icmp, 3, 10), (.icmp, 3, 13): .prohibited
    case (.icmp, 3, 3): .portUnreachable
    case (.icmp, 3, 4): .tooBig
    case (.icmp, 3, 0), (.icmp, 3, 6), (.icmp, 3, 11): .networkUnreachable
    case (.icmp, 3, 1), (.icmp, 3, 7), (.icmp, 3, 12): .hostUnreachable
    case (.icmp, 11, _): .timeExceeded
    // RFC 4443.
    case (.icmp6, 1, 1), (.icmp6, 1, 5), (.icmp6, 1, 6): .prohibited
    case (.icmp6, 1, 4): .portUnreachable
    case (.icmp6, 1, 0): .networkUnreachable
    case (.icmp6, 1, 3): .hostUnreachable
    case (.icmp6, 2, _): .tooBig
    case (.icmp6, 3, _): .timeExceeded
    default: nil
    }
  }

  private static func kind(_ error: CInt) -> Kind {
    switch error {
    case ECONNREFUSED: .portUnreachable
    case EHOSTUNREACH, EHOSTDOWN: .hostUnreachable
    case ENETUNREACH, ENETDOWN, EADDRNOTAVAIL: .networkUnreachable
    case EMSGSIZE: .tooBig
    case ENOBUFS: .noBuffers
    case EACCES, EPERM: .prohibited
    default: .other
    }
  }
}

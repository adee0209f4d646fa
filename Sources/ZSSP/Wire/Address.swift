// SPDX-License-Identifier: Apache-2.0

/// Where a datagram comes from or goes to: an IP address and a port, as plain numbers.
///
/// The protocol compares addresses and hashes them into challenges (section 8) and never looks inside. A transport
/// that is not IP may put any 16 bytes here.
///
/// An address also carries ``localIndex``: at which of its own addresses this host was reached from there. It says how to
/// answer, not where the peer is, so it does not count in comparisons.
public struct Address: Sendable {
  /// The kind of the host address.
  public enum Family: UInt8, Hashable, Sendable {
    /// Four bytes of host address, in the low half of `host`'s second part.
    case ipv4 = 4
    /// Sixteen bytes of host address.
    case ipv6 = 6
  }

  /// The kind of the host address.
  public let family: Family
  /// The number that the transport has given to one of this host's own addresses: datagrams from this address came to it,
  /// and datagrams to this address leave from it. 0, the default, leaves the choice to the system. Opaque to the protocol.
  public private(set) var localIndex: UInt8 = 0
  /// The port, in the host's byte order.
  public let port: UInt16
  /// The scope of a link-local IPv6 address, else 0.
  public let scope: UInt32
  /// The first eight bytes of an IPv6 address as a big-endian integer; 0 for IPv4.
  public let high: UInt64
  /// The last eight bytes of an IPv6 address, or the four of an IPv4 address, as a big-endian integer.
  public let low: UInt64

  /// An IPv4 address.
  public init(ipv4 host: UInt32, port: UInt16) {
    (family, self.port, scope, high, low) = (.ipv4, port, 0, 0, UInt64(host))
  }

  /// An IPv6 address.
  public init(ipv6 high: UInt64, _ low: UInt64, port: UInt16, scope: UInt32 = 0) {
    (family, self.port, self.scope, self.high, self.low) = (.ipv6, port, scope, high, low)
  }

  /// Returns the same address, reached at another of this host's own addresses.
  public func reached(at localIndex: UInt8) -> Address {
    var address = self
    address.localIndex = localIndex
    return address
  }

  /// Whether both ends are the same: the peer's address, and this host's.
  public func isSamePath(as other: Address) -> Bool { localIndex == other.localIndex && self == other }

  /// Every part of the address but ``localIndex`` in 23 bytes, the same for equal addresses only.
  package var bytes: [UInt8] {
    func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
      stride(from: value.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
    }
    return [family.rawValue] + bigEndian(port) + bigEndian(scope) + bigEndian(high) + bigEndian(low)
  }
}

extension Address: Hashable {
  /// Whether both are the same place. ``localIndex`` does not count; see ``isSamePath(as:)``.
  public static func == (left: Address, right: Address) -> Bool {
    left.low == right.low && left.port == right.port && left.high == right.high && left.family == right.family
      && left.scope == right.scope
  }

  /// Hashes what is compared.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(family)
    hasher.combine(port)
    hasher.combine(scope)
    hasher.combine(high)
    hasher.combine(low)
  }
}

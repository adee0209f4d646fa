// SPDX-License-Identifier: Apache-2.0

/// The source or destination of a datagram: an IP address and a port, as plain numbers.
///
/// The protocol compares addresses and hashes them into challenges (section 8), and does not
/// interpret them. A transport that is not IP may put any 16 bytes here.
///
/// An address also carries ``localIndex``, which tells the host's own address that received the
/// datagram. It says how to answer, not where the peer is, so comparisons ignore it.
public struct Address: Sendable {
  /// The kind of the host address.
  public enum Family: UInt8, Hashable, Sendable {
    /// Four bytes of host address, in the lower half of ``Address/low``.
    case ipv4 = 4
    /// Sixteen bytes of host address, in ``Address/high`` and ``Address/low``.
    case ipv6 = 6
  }

  /// The kind of the host address.
  public let family: Family
  /// The transport's number for one of this host's own addresses. Datagrams from this address
  /// arrived at it, and datagrams to this address leave from it. With 0, the default, the system
  /// chooses. The protocol does not interpret it.
  public private(set) var localIndex: UInt8 = 0
  /// The port, in the host's byte order.
  public let port: UInt16
  /// The scope of a link-local IPv6 address; otherwise 0.
  public let scope: UInt32
  /// The first eight bytes of an IPv6 address as a big-endian integer; 0 for IPv4.
  public let high: UInt64
  /// The last eight bytes of an IPv6 address, or the four of an IPv4 address, as a big-endian
  /// integer.
  public let low: UInt64

  /// Creates an IPv4 address. `port` is in the host's byte order.
  public init(ipv4 host: UInt32, port: UInt16) {
    family = .ipv4
    self.port = port
    scope = 0
    high = 0
    low = UInt64(host)
  }

  /// Creates an IPv6 address of its first and its last eight bytes. `port` is in the host's byte
  /// order.
  public init(ipv6 high: UInt64, _ low: UInt64, port: UInt16, scope: UInt32 = 0) {
    family = .ipv6
    self.port = port
    self.scope = scope
    self.high = high
    self.low = low
  }

  /// Returns the same address with another of this host's own addresses.
  public func reached(at localIndex: UInt8) -> Address {
    var address = self
    address.localIndex = localIndex
    return address
  }

  /// Returns true if both ends are equal: the peer's address and this host's.
  public func isSamePath(as other: Address) -> Bool { localIndex == other.localIndex && self == other }

  /// All parts of the address but ``localIndex``, in 23 bytes. Different addresses have different
  /// bytes.
  package var bytes: [UInt8] {
    func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
      stride(from: value.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
    }
    return [family.rawValue] + bigEndian(port) + bigEndian(scope) + bigEndian(high) + bigEndian(low)
  }
}

extension Address: Hashable {
  /// Compares all parts but ``localIndex``; see ``isSamePath(as:)``.
  public static func == (left: Address, right: Address) -> Bool {
    left.low == right.low && left.port == right.port && left.high == right.high && left.family == right.family
      && left.scope == right.scope
  }

  /// Hashes the parts that are compared.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(family)
    hasher.combine(port)
    hasher.combine(scope)
    hasher.combine(high)
    hasher.combine(low)
  }
}

// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An IPv4 or IPv6 address as a number.
public struct IPAddress: Hashable, Sendable {
  /// The family of an address.
  public enum Family: UInt8, Hashable, Sendable {
    /// IPv4: 32 bits.
    case v4 = 4
    /// IPv6: 128 bits.
    case v6 = 6

    /// The number of bits in an address.
    public var width: Int { self == .v4 ? 32 : 128 }
  }

  /// The family.
  public let family: Family
  /// The bits, aligned to the left; the low 96 bits of an IPv4 address are zero.
  public let bits: UInt128

  /// Makes an address from bits that are aligned to the left.
  public init(_ family: Family, bits: UInt128) {
    self.family = family
    self.bits = bits
  }

  /// Makes an IPv4 address.
  public init(v4 address: UInt32) { self.init(.v4, bits: UInt128(address) << 96) }

  /// Parses `192.0.2.1` or `2001:db8::1`; nil for anything else.
  public init?(_ text: some StringProtocol) {
    let text = String(text)
    var v4 = in_addr()
    var v6 = in6_addr()
    if inet_pton(AF_INET, text, &v4) == 1 {
      self.init(v4: UInt32(bigEndian: v4.s_addr))
    } else if inet_pton(AF_INET6, text, &v6) == 1 {
      self.init(.v6, bits: withUnsafeBytes(of: v6) { UInt128(bigEndian: $0.loadUnaligned(as: UInt128.self)) })
    } else {
      return nil
    }
  }

  /// True if the address can be that of one host: it is neither unspecified, nor the IPv4 broadcast
  /// address, nor multicast.
  var isOfOneHost: Bool {
    switch family {
    case .v4: bits != 0 && bits >> 124 != 0xE && bits >> 96 != 0xFFFF_FFFF
    case .v6: bits != 0 && bits >> 120 != 0xFF
    }
  }

  /// The bytes in network order: 4 or 16.
  public var bytes: [UInt8] {
    (0..<family.width / 8).map { UInt8(truncatingIfNeeded: bits >> (120 - 8 * $0)) }
  }
}

extension IPAddress: CustomStringConvertible {
  /// The address in its usual notation.
  public var description: String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    let written = bytes.withUnsafeBytes {
      inet_ntop(family == .v4 ? AF_INET : AF_INET6, $0.baseAddress, &text, socklen_t(text.count))
    }
    guard written != nil else { return "" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// A prefix: an address and the number of its leading bits that count.
public struct IPPrefix: Hashable, Sendable {
  /// The address. It may have bits after the prefix length, as an interface's address does.
  public let address: IPAddress
  /// The prefix length in bits, 0…32 or 0…128.
  public let length: Int

  /// Makes a prefix; nil if the length is larger than the address.
  public init?(_ address: IPAddress, length: Int) {
    guard (0...address.family.width).contains(length) else { return nil }
    self.address = address
    self.length = length
  }

  /// Parses `10.0.0.0/8`, or an address alone; nil for anything else.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let address = IPAddress(first) else { return nil }
    guard parts.count > 1 else {
      self.init(address, length: address.family.width)
      return
    }
    // A leading zero may mean another base.
    guard parts[1].allSatisfy({ $0.isASCII && $0.isNumber }), parts[1] == "0" || parts[1].first != "0",
      let length = Int(parts[1])
    else { return nil }
    self.init(address, length: length)
  }

  /// Returns a mask with ones in the leading `length` bits.
  static func mask(_ length: Int) -> UInt128 { length == 0 ? 0 : UInt128.max << UInt128(128 - length) }

  /// The prefix without the bits after its length.
  public var network: IPPrefix {
    let first = IPAddress(address.family, bits: address.bits & Self.mask(length))
    return IPPrefix(first, length: length) ?? self
  }

  /// Returns true if an address has this prefix.
  public func contains(_ other: IPAddress) -> Bool {
    other.family == address.family && (other.bits ^ address.bits) & Self.mask(length) == 0
  }
}

extension IPPrefix: CustomStringConvertible {
  /// The prefix in its usual notation.
  public var description: String { "\(address)/\(length)" }
}

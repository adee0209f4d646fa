// SPDX-License-Identifier: Apache-2.0

/// The source of a Hello as its address shows it: a host, and the network of that host.
///
/// The port does not count, because a host can use all of them. A host is an IPv4 address or the
/// first 64 bits of an IPv6 address; a network is the first 24 or 48 bits. An IPv6 address that
/// contains an IPv4 address (`::ffff:0:0/96`, `64:ff9b::/96`) counts as that one.
package struct HelloSource: Sendable, Hashable {
  /// The leading bits of an address.
  package struct Prefix: Sendable, Hashable {
    fileprivate let family: Address.Family
    fileprivate let bits: UInt64
  }

  /// The host.
  package let host: Prefix
  /// The network that the host is in.
  package let network: Prefix

  /// Creates the source of a datagram from `address`.
  package init(_ address: Address) {
    // [DEC-17]
    let isMapped = address.high == 0 && address.low >> 32 == 0xFFFF
    let isTranslated = address.high == 0x0064_FF9B_0000_0000 && address.low >> 32 == 0
    if address.family == .ipv4 || isMapped || isTranslated {
      host = Prefix(family: .ipv4, bits: address.low & 0xFFFF_FFFF)
      network = Prefix(family: .ipv4, bits: address.low & 0xFFFF_FF00)
    } else {
      host = Prefix(family: .ipv6, bits: address.high)
      network = Prefix(family: .ipv6, bits: address.high & 0xFFFF_FFFF_FFFF_0000)
    }
  }
}

extension HelloSource.Prefix {
  /// The bits as bytes. They identify a prefix only among prefixes of the same length.
  var bytes: [UInt8] {
    [family.rawValue] + stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: bits >> $0) }
  }
}

/// Counts of the entries of each source in a bounded buffer.
///
/// A full buffer evicts from the network with the most entries, and there from the host with the
/// most. A source with few entries loses none to a source with many, however many hosts or ports
/// that one uses.
struct SourceCensus: Sendable {
  /// The count of a source's network, and that of its host.
  struct Weight: Comparable {
    let network, host: Int

    static func < (left: Weight, right: Weight) -> Bool { (left.network, left.host) < (right.network, right.host) }
  }

  private var networks: [HelloSource.Prefix: Int] = [:]
  private var hosts: [HelloSource.Prefix: Int] = [:]

  init() {}

  /// The largest count of a network.
  var largestNetwork: Int { networks.values.max() ?? 0 }

  /// Returns the counts of a source.
  func weight(_ source: HelloSource) -> Weight {
    Weight(network: networks[source.network] ?? 0, host: hosts[source.host] ?? 0)
  }

  // [DEC-18]
  /// Returns the first of `indices` whose source has the largest weight; nil if `indices` is empty.
  func heaviest(of indices: some Sequence<Int>, _ source: (Int) -> HelloSource) -> Int? {
    var heaviest: (index: Int, weight: Weight)?
    for index in indices {
      let weight = weight(source(index))
      if let held = heaviest?.weight, weight <= held { continue }
      heaviest = (index, weight)
    }
    return heaviest?.index
  }

  /// Adds `amount`, which may be negative, to the counts of a source.
  mutating func add(_ amount: Int, to source: HelloSource) {
    Self.add(amount, to: source.network, in: &networks)
    Self.add(amount, to: source.host, in: &hosts)
  }

  private static func add(
    _ amount: Int, to prefix: HelloSource.Prefix, in counts: inout [HelloSource.Prefix: Int]
  ) {
    let sum = (counts[prefix] ?? 0) + amount
    counts[prefix] = sum == 0 ? nil : sum
  }
}

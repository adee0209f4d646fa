// SPDX-License-Identifier: Apache-2.0
import CZSSPTunnel
import ZSSP

/// What a tunnel needs of the system's network: addresses, sizes and routes.
struct NetworkPlan {
  /// Bytes in front of a packet of the tunnel's in its datagram: ZSSP's header and tag.
  static let messageOverhead = 32
  /// The headers of UDP and IPv6, which are the larger ones.
  static let datagramOverhead = 48
  /// The headers of UDP and IPv4.
  static let v4DatagramOverhead = 28
  /// What is assumed where the way to no peer is known.
  static let usualPathMTU = 1500
  /// What IPv4 needs, and more than IPv4 asks of every link.
  static let smallestMTU = 576
  /// What IPv6 asks of every link.
  static let smallestV6MTU = 1280

  let mtu: Int
  let datagram: Int

  /// Sizes that fit the ways to the peers, unless the configuration has others.
  ///
  /// A packet of the tunnel fits into one datagram, so that one that is lost costs one packet and not more.
  init(_ configuration: TunnelConfiguration, pathMTU: Int) {
    let fitting = pathMTU - Self.datagramOverhead
    // With less the system takes IPv6 from the device. Packets are cut by the protocol then.
    let smallest = configuration.carriesV6 ? Self.smallestV6MTU : Self.smallestMTU
    switch (configuration.mtu, configuration.datagram) {
    case (let mtu?, let datagram?): (self.mtu, self.datagram) = (mtu, datagram)
    case (let mtu?, nil): (self.mtu, datagram) = (mtu, min(mtu + Self.messageOverhead, max(fitting, 576)))
    case (nil, let datagram?): (mtu, self.datagram) = (max(smallest, datagram - Self.messageOverhead), datagram)
    case (nil, nil): (mtu, datagram) = (max(smallest, fitting - Self.messageOverhead), max(fitting, 608))
    }
  }

  /// Refuses packets that are longer than any message: none of them could be sent.
  func check() throws(TunnelError) {
    let longest = FragmentPlan.largestMessage(mtu: datagram)
    guard mtu > longest else { return }
    throw .refused(
      "mtu \(mtu): must be at most \(longest), the longest message in datagrams of \(datagram) bytes, which is what the way to the peers takes"
    )
  }

  /// The smallest MTU of the ways to these addresses, as far as the system knows.
  static func pathMTU(to addresses: [Address]) -> Int {
    let known = addresses.compactMap { address -> Int? in
      let bytes = address.ip.bytes
      let mtu = bytes.withUnsafeBytes {
        czssp_path_mtu(CInt(address.ip.family.rawValue), $0.baseAddress, address.scope)
      }
      return mtu > 0 ? Int(mtu) : nil
    }
    // The loopback device takes more than UDP.
    return min(known.min() ?? usualPathMTU, 65_000)
  }

  /// Whether a packet of the tunnel may need several datagrams, of which none may be lost.
  var splitsPackets: Bool { mtu + Self.messageOverhead > datagram }

  /// Lines for `ip` that make a device ready.
  func deviceLines(_ configuration: TunnelConfiguration, _ routing: RoutingPlan) -> [String] {
    let device = routing.device
    var lines = configuration.addresses.map { "address add \($0) dev \(device)" }
    lines.append("link set dev \(device) mtu \(mtu) txqueuelen \(configuration.queueLength)")
    lines.append("link set dev \(device) up")
    // A route that exists already is not ours, and stays: `ip` refuses.
    return lines + routing.routes(configuration).map { $0.line("add", device: device) }
  }

  /// The prefixes that need routes in the main table, each once, a default route as its halves.
  static func routed(_ prefixes: [IPPrefix], _ addresses: [IPPrefix]) -> [IPPrefix] {
    var known: Set<IPPrefix> = []
    return prefixes.filter { prefix in
      !addresses.contains {
        $0.length < $0.address.family.width && $0.length <= prefix.length && $0.contains(prefix.address)
      }
    }.flatMap(halves).filter { known.insert($0).inserted }
  }

  /// The route to everything leaves the system's own alone, and is preferred, as two halves.
  private static func halves(_ prefix: IPPrefix) -> [IPPrefix] {
    guard prefix.length == 0 else { return [prefix] }
    let family = prefix.address.family
    let second = IPAddress(family, bits: 1 << 127)
    return [IPPrefix(prefix.address, length: 1), IPPrefix(second, length: 1)].compactMap { $0 }
  }

  /// The route that keeps a peer's own address out of the tunnel where it lies in what goes through it; nil if none is needed, or somebody
  /// has made one.
  static func routeAround(
    _ address: IPAddress, _ configuration: TunnelConfiguration
  ) throws(TunnelError) -> EndpointRoute? {
    guard isCovered(address, configuration) else { return nil }
    let step = "cannot find the way to \(address)"
    let family = address.family == .v4 ? "-4" : "-6"
    let own = ["route", "show", "exact", "\(address)/\(address.family.width)"]
    let existing = try SystemCommand.ip([family] + own, step: step)
    guard existing.exitCode != 0 || existing.output.allSatisfy(\.isWhitespace) else { return nil }
    let result = try SystemCommand.ip([family, "route", "get", "\(address)"], step: step)
    guard result.exitCode == 0 else { throw .setUp(step: step, reason: result.reason) }
    return EndpointRoute(to: address, output: result.output)
  }

  /// Whether the tunnel's own datagrams to an address would go through the tunnel.
  static func isCovered(_ address: IPAddress, _ configuration: TunnelConfiguration) -> Bool {
    configuration.peers.flatMap(\.allowedIPs).contains { configuration.table.covers($0) && $0.contains(address) }
  }
}

extension Address {
  /// The host. One of IPv4 that a socket of IPv6 names (RFC 4291, section 2.5.5.2) is one of IPv4.
  var ip: IPAddress {
    family == .ipv4 || high == 0 && low >> 32 == 0xFFFF
      ? IPAddress(v4: UInt32(truncatingIfNeeded: low)) : IPAddress(.v6, bits: UInt128(high) << 64 | UInt128(low))
  }
}

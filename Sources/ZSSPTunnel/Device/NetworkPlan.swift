// SPDX-License-Identifier: Apache-2.0
import CZSSPTunnel
import ZSSP

/// The tunnel's addresses, sizes and routes.
struct NetworkPlan {
  /// The bytes in front of and behind a tunnelled packet in its datagram: ZSSP's header and tag.
  static let messageOverhead = 32
  /// The size of the UDP and IPv6 headers, which are the larger ones.
  static let datagramOverhead = 48
  /// The size of the UDP and IPv4 headers.
  static let v4DatagramOverhead = 28
  /// The path MTU that is assumed where no path is known.
  static let usualPathMTU = 1500
  /// The smallest MTU for IPv4, which is more than IPv4 requires of links.
  static let smallestMTU = 576
  /// The smallest MTU that IPv6 requires of links.
  static let smallestV6MTU = 1280

  let mtu: Int
  let datagram: Int

  /// Chooses sizes that fit the paths to the peers, unless the configuration has others.
  ///
  /// A packet of the tunnel fits into one datagram, so that one lost datagram costs one packet.
  init(_ configuration: TunnelConfiguration, pathMTU: Int) {
    let fitting = pathMTU - Self.datagramOverhead
    // With a smaller MTU the system removes IPv6 from the device. The protocol then splits packets.
    let smallest = configuration.carriesV6 ? Self.smallestV6MTU : Self.smallestMTU
    switch (configuration.mtu, configuration.datagram) {
    case (let mtu?, let datagram?):
      self.mtu = mtu
      self.datagram = datagram
    case (let mtu?, nil):
      self.mtu = mtu
      datagram = min(mtu + Self.messageOverhead, max(fitting, 576))
    case (nil, let datagram?):
      mtu = max(smallest, datagram - Self.messageOverhead)
      self.datagram = datagram
    case (nil, nil):
      mtu = max(smallest, fitting - Self.messageOverhead)
      datagram = max(fitting, 608)
    }
  }

  /// Checks that packets fit into messages.
  ///
  /// - Throws: ``TunnelError/refused(_:)`` if the MTU exceeds the longest message.
  func check() throws(TunnelError) {
    let longest = FragmentPlan.largestMessage(mtu: datagram)
    guard mtu > longest else { return }
    throw .refused(
      "mtu \(mtu): must be at most \(longest), the longest message in datagrams of \(datagram) bytes, which is what the way to the peers takes"
    )
  }

  /// Returns the smallest MTU of the paths to these addresses, as far as the system knows.
  static func pathMTU(to addresses: [Address]) -> Int {
    let known = addresses.compactMap { address -> Int? in
      let bytes = address.ip.bytes
      let mtu = bytes.withUnsafeBytes {
        czssp_path_mtu(CInt(address.ip.family.rawValue), $0.baseAddress, address.scope)
      }
      return mtu > 0 ? Int(mtu) : nil
    }
    // The loopback device has a larger MTU than UDP can use.
    return min(known.min() ?? usualPathMTU, 65_000)
  }

  /// True if a packet of the tunnel may need several datagrams.
  var splitsPackets: Bool { mtu + Self.messageOverhead > datagram }

  /// Returns the input for `ip` that sets up a device.
  func deviceLines(_ configuration: TunnelConfiguration, routing: RoutingPlan) -> [String] {
    let device = routing.device
    // A network manager that knows the device by its name may have been quicker.
    var lines = configuration.addresses.map { "address replace \($0) dev \(device)" }
    lines.append("link set dev \(device) mtu \(mtu) txqueuelen \(configuration.queueLength)")
    lines.append("link set dev \(device) up")
    // A route that exists already is not ours and stays, because `ip` refuses to add it.
    return lines + routing.routes(configuration).map { $0.line("add", device: device) }
  }

  /// Returns the prefixes that need routes in the main table, without duplicates; default routes as
  /// halves.
  static func routed(_ prefixes: [IPPrefix], addresses: [IPPrefix]) -> [IPPrefix] {
    var known: Set<IPPrefix> = []
    return prefixes.filter { prefix in
      !addresses.contains {
        $0.length < $0.address.family.width && $0.length <= prefix.length && $0.contains(prefix.address)
      }
    }.flatMap(halves).filter { known.insert($0).inserted }
  }

  /// Splits a default route into two /1 routes, which win over the system's default without
  /// replacing it.
  private static func halves(_ prefix: IPPrefix) -> [IPPrefix] {
    guard prefix.length == 0 else { return [prefix] }
    let family = prefix.address.family
    let second = IPAddress(family, bits: 1 << 127)
    return [IPPrefix(prefix.address, length: 1), IPPrefix(second, length: 1)].compactMap { $0 }
  }

  /// Returns the route that keeps a peer's address out of the tunnel if the tunnel's routes contain
  /// it; nil if no route is needed, or one exists already.
  ///
  /// - Throws: ``TunnelError/setUp(step:reason:)``.
  static func routeAround(
    _ address: IPAddress, configuration: TunnelConfiguration
  ) throws(TunnelError) -> EndpointRoute? {
    guard isCovered(address, by: configuration) else { return nil }
    let step = "cannot find the way to \(address)"
    let family = address.family == .v4 ? "-4" : "-6"
    let own = ["route", "show", "exact", "\(address)/\(address.family.width)"]
    let existing = try SystemCommand.ip([family] + own, step: step)
    guard existing.exitCode != 0 || existing.output.allSatisfy(\.isWhitespace) else { return nil }
    let result = try SystemCommand.ip([family, "route", "get", "\(address)"], step: step)
    guard result.exitCode == 0 else { throw .setUp(step: step, reason: result.reason) }
    return EndpointRoute(to: address, output: result.output)
  }

  /// Returns true if the tunnel's own datagrams to an address would enter the tunnel.
  static func isCovered(_ address: IPAddress, by configuration: TunnelConfiguration) -> Bool {
    configuration.peers.flatMap(\.allowedIPs).contains { configuration.table.covers($0) && $0.contains(address) }
  }
}

extension Address {
  /// The host. An IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2) becomes IPv4.
  var ip: IPAddress {
    family == .ipv4 || high == 0 && low >> 32 == 0xFFFF
      ? IPAddress(v4: UInt32(truncatingIfNeeded: low)) : IPAddress(.v6, bits: UInt128(high) << 64 | UInt128(low))
  }
}

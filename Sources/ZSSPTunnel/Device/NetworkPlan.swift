// SPDX-License-Identifier: Apache-2.0
import CZSSPTunnel
import ZSSP

/// What a tunnel needs of the system's network: addresses, sizes and routes.
struct NetworkPlan {
  /// Bytes in front of a packet of the tunnel's in its datagram: ZSSP's header and tag.
  static let messageOverhead = 32
  /// The headers of UDP and IPv6, which are the larger ones.
  static let datagramOverhead = 48
  /// What is assumed where the way to no peer is known.
  static let usualPathMTU = 1500
  /// What IPv6 asks of every link.
  static let smallestV6MTU = 1280

  let mtu: Int
  let datagram: Int

  /// Sizes that fit the ways to the peers, unless the configuration has others.
  ///
  /// A packet of the tunnel fits into one datagram, so that one that is lost costs one packet and not more.
  init(_ configuration: TunnelConfiguration, pathMTU: Int) {
    let fitting = pathMTU - Self.datagramOverhead
    switch (configuration.mtu, configuration.datagram) {
    case (let mtu?, let datagram?): (self.mtu, self.datagram) = (mtu, datagram)
    case (let mtu?, nil): (self.mtu, datagram) = (mtu, min(mtu + Self.messageOverhead, max(fitting, 576)))
    case (nil, let datagram?): (mtu, self.datagram) = (max(576, datagram - Self.messageOverhead), datagram)
    case (nil, nil): (mtu, datagram) = (max(576, fitting - Self.messageOverhead), max(fitting, 608))
    }
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
  func deviceLines(_ configuration: TunnelConfiguration, device: String) -> [String] {
    var lines = configuration.addresses.map { "address add \($0) dev \(device)" }
    lines.append("link set dev \(device) mtu \(mtu) txqueuelen \(configuration.queueLength)")
    lines.append("link set dev \(device) up")
    guard configuration.routes else { return lines }
    return lines + Self.routes(configuration.peers.flatMap(\.allowedIPs), configuration.addresses, device: device)
  }

  /// Lines for `ip` that make routes. Networks that the device's addresses are in have theirs.
  static func routes(_ prefixes: [IPPrefix], _ addresses: [IPPrefix], device: String) -> [String] {
    prefixes.filter { prefix in
      !addresses.contains {
        $0.length < $0.address.family.width && $0.length <= prefix.length && $0.contains(prefix.address)
      }
    }.flatMap(halves).map { "route replace \($0) dev \(device)" }
  }

  /// The route to everything leaves the system's own alone, and is preferred, as two halves.
  private static func halves(_ prefix: IPPrefix) -> [IPPrefix] {
    guard prefix.length == 0 else { return [prefix] }
    let family = prefix.address.family
    let second = IPAddress(family, bits: 1 << 127)
    return [IPPrefix(prefix.address, length: 1), IPPrefix(second, length: 1)].compactMap { $0 }
  }

  /// Lines that keep a peer's own address out of the tunnel where it lies in what goes through it, and those that undo them.
  static func bypass(
    _ address: IPAddress, _ configuration: TunnelConfiguration
  ) throws(TunnelError) -> (lines: [String], undo: [String]) {
    let covered = configuration.peers.flatMap(\.allowedIPs).contains { $0.contains(address) }
    guard configuration.routes, covered else { return ([], []) }
    let step = "cannot find the way to \(address)"
    let result = try SystemCommand.ip(["route", "get", "\(address)"], step: step)
    guard result.exitCode == 0, let line = result.output.split(separator: "\n").first else {
      throw .setUp(step: step, reason: result.errors)
    }
    let words = line.split(separator: " ")
    var way = ""
    for name in ["via", "dev"] {
      if let index = words.firstIndex(of: Substring(name)), index + 1 < words.count {
        way += " \(name) \(words[index + 1])"
      }
    }
    guard !words.contains("local"), let host = IPPrefix(address, length: address.family.width) else { return ([], []) }
    return (["route replace \(host)\(way)"], ["route del \(host)\(way)"])
  }
}

extension Address {
  /// The host.
  var ip: IPAddress {
    family == .ipv4
      ? IPAddress(v4: UInt32(truncatingIfNeeded: low)) : IPAddress(.v6, bits: UInt128(high) << 64 | UInt128(low))
  }
}

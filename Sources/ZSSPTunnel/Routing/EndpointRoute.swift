// SPDX-License-Identifier: Apache-2.0

/// A route to a peer's address around the tunnel. It is stored as data, not as a command, so that
/// its reader cannot be made to run anything else.
struct EndpointRoute: Equatable, CustomStringConvertible {
  let host: IPAddress
  let gateway: IPAddress?
  let device: String?

  /// Parses a line of `ip route get`; nil if the route leads to this host, or the line is invalid.
  init?(to host: IPAddress, output: String) {
    let words = output.split(separator: "\n").first?.split(separator: " ") ?? []
    guard !words.contains("local") else { return nil }
    func word(after name: Substring) -> Substring? {
      guard let index = words.firstIndex(of: name), index + 1 < words.count else { return nil }
      // A gateway of the other family is preceded by its family.
      let isFamily = words[index + 1] == "inet6" || words[index + 1] == "inet"
      return isFamily && index + 2 < words.count ? words[index + 2] : words[index + 1]
    }
    self.init(host, via: word(after: "via"), device: word(after: "dev"))
  }

  /// The routes to an address, besides the tunnel's.
  enum Found: Equatable {
    /// A route to this exact address exists already.
    case isThere
    case way(EndpointRoute)
    case nowhere
  }

  /// Returns the best route among lines of `ip -oneline route show match` that does not use the
  /// tunnel's device: the longest prefix, then the smallest metric. `ip route get` cannot be used,
  /// because the tunnel's routes exist already.
  static func find(to host: IPAddress, in output: String, avoiding device: String) -> Found {
    var best: (length: Int, metric: Int, route: EndpointRoute)?
    for line in output.split(separator: "\n") {
      let words = line.split(separator: " ")
      // Lines with another first word are no usable routes: unreachable, blackhole, prohibit.
      guard let first = words.first, let length = first == "default" ? 0 : IPPrefix(first)?.length,
        let route = EndpointRoute(to: host, output: String(line)), route.device != device, !words.contains("dead")
      else { continue }
      if length == host.family.width { return .isThere }
      let metric = words.firstIndex(of: "metric").flatMap { $0 + 1 < words.count ? Int(words[$0 + 1]) : nil } ?? 0
      if best.map({ (-length, metric) < (-$0.length, $0.metric) }) ?? true { best = (length, metric, route) }
    }
    return best.map { .way($0.route) } ?? .nowhere
  }

  /// Parses a recorded line; nil if it is invalid.
  init?(line: Substring) {
    let words = line.split(separator: " ", omittingEmptySubsequences: false)
    guard let first = words.first, let host = IPAddress(first), words.count % 2 == 1 else { return nil }
    var values: [Substring: Substring] = [:]
    for index in stride(from: 1, to: words.count, by: 2) { values[words[index]] = words[index + 1] }
    guard values.keys.allSatisfy({ $0 == "via" || $0 == "dev" }), values.count == words.count / 2 else { return nil }
    self.init(host, via: values["via"], device: values["dev"])
  }

  private init?(_ host: IPAddress, via: Substring?, device: Substring?) {
    guard via != nil || device != nil else { return nil }
    let gateway = via.flatMap { IPAddress($0) }
    guard via == nil || gateway != nil, device.map(Self.isDevice) ?? true else { return nil }
    self.host = host
    self.gateway = gateway
    self.device = device.map(String.init)
  }

  /// Returns true if the system accepts the name for a device.
  private static func isDevice(_ name: Substring) -> Bool {
    (1...15).contains(name.utf8.count) && name.first != "-"
      && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x2F }
  }

  /// The recorded line.
  var description: String { (["\(host)"] + way).joined(separator: " ") }

  private var way: [String] {
    (gateway.map { ["via", "\($0)"] } ?? []) + (device.map { ["dev", $0] } ?? [])
  }

  /// Returns the arguments of `ip` that add or delete the route.
  func arguments(_ verb: String) -> [String] {
    let family = host.family == .v4 ? "-4" : "-6"
    var way = way
    if let gateway, gateway.family != host.family { way.insert(gateway.family == .v4 ? "inet" : "inet6", at: 1) }
    return [family, "route", verb, "\(host)/\(host.family.width)"] + way
  }
}

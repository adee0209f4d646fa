// SPDX-License-Identifier: Apache-2.0

/// A route to a peer's own address that goes around the tunnel. It is kept as what it is, not as a command, so that whoever reads it runs
/// nothing else.
struct EndpointRoute: Equatable, CustomStringConvertible {
  let host: IPAddress
  let gateway: IPAddress?
  let device: String?

  /// The way that `ip route get` names; nil if it leads to this host itself, or cannot be read.
  init?(to host: IPAddress, output: String) {
    let words = output.split(separator: "\n").first?.split(separator: " ") ?? []
    guard !words.contains("local") else { return nil }
    func word(after name: Substring) -> Substring? {
      guard let index = words.firstIndex(of: name), index + 1 < words.count else { return nil }
      // A gateway of the other family has that in front of it.
      let isFamily = words[index + 1] == "inet6" || words[index + 1] == "inet"
      return isFamily && index + 2 < words.count ? words[index + 2] : words[index + 1]
    }
    self.init(host, via: word(after: "via"), device: word(after: "dev"))
  }

  /// What there is of ways to an address besides the tunnel.
  enum Found: Equatable {
    /// Somebody has made a route to this very address.
    case isThere
    case way(EndpointRoute)
    case nowhere
  }

  /// The best way among lines of `ip -oneline route show match` that does not lead to the tunnel's device: that of the longest prefix and the
  /// smallest metric. The tunnel's routes are there already, so that the system cannot be asked for the way.
  static func find(to host: IPAddress, in output: String, avoiding device: String) -> Found {
    var best: (length: Int, metric: Int, route: EndpointRoute)?
    for line in output.split(separator: "\n") {
      let words = line.split(separator: " ")
      // What begins with another word is no way: unreachable, blackhole, prohibit.
      guard let first = words.first, let length = first == "default" ? 0 : IPPrefix(first)?.length,
        let route = EndpointRoute(to: host, output: String(line)), route.device != device, !words.contains("dead")
      else { continue }
      if length == host.family.width { return .isThere }
      let metric = words.firstIndex(of: "metric").flatMap { $0 + 1 < words.count ? Int(words[$0 + 1]) : nil } ?? 0
      if best.map({ (-length, metric) < (-$0.length, $0.metric) }) ?? true { best = (length, metric, route) }
    }
    return best.map { .way($0.route) } ?? .nowhere
  }

  /// A line that was kept; nil if it is anything else.
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
    (self.host, self.gateway, self.device) = (host, gateway, device.map(String.init))
  }

  /// What the system takes as the name of any device.
  private static func isDevice(_ name: Substring) -> Bool {
    (1...15).contains(name.utf8.count) && name.first != "-"
      && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x2F }
  }

  /// The line that is kept.
  var description: String { (["\(host)"] + way).joined(separator: " ") }

  private var way: [String] {
    (gateway.map { ["via", "\($0)"] } ?? []) + (device.map { ["dev", $0] } ?? [])
  }

  /// Arguments for `ip` that add the route, or delete it.
  func arguments(_ verb: String) -> [String] {
    let family = host.family == .v4 ? "-4" : "-6"
    var way = way
    if let gateway, gateway.family != host.family { way.insert(gateway.family == .v4 ? "inet" : "inet6", at: 1) }
    return [family, "route", verb, "\(host)/\(host.family.width)"] + way
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The routes around the tunnel, one for each peer whose address is inside the prefixes that go
/// through the tunnel, if this side named the address.
///
/// A route is recorded before it is made. A route that it replaces is removed afterwards.
actor EndpointRoutes {
  /// The address of a peer.
  struct Place: Equatable, Sendable {
    let address: IPAddress
    /// True if this side named the address: it is in the file, or belongs to a name there. False if
    /// the peer moved there itself.
    var isNamed: Bool
  }

  /// The known addresses of a peer.
  private struct Whereabouts {
    /// The address that the peer last sent from.
    var heard: Place?
    /// The address at which this side looks for the peer, until the peer sends from any address.
    /// The peer may still be at the other one.
    var named: IPAddress?

    var places: [Place] {
      [heard, named.map { Place(address: $0, isNamed: true) }].compactMap { $0 }
    }
  }

  /// The route that a peer's address needs.
  enum Need: Equatable {
    /// No route: its datagrams go around the tunnel anyway.
    case nothing
    case route
    /// No route, although one would be needed, because the peer moved there itself. An attacker on
    /// the path can send on a genuine datagram from any address. A route would then lead the
    /// traffic for that address out of the tunnel.
    case refused(owner: Int)
  }

  /// The minimum interval between changes for peers that move all the time.
  private static let pace = Duration.seconds(1)

  private let ledger: UndoLedger
  private let device: String
  private let registry: PeerRegistry
  private let log: TunnelJournal
  private var peers: [Int: Whereabouts]
  private var routes: [EndpointRoute]
  /// The last reported reason for each address without a route, so that it is reported once.
  private var complaints: [IPAddress: String] = [:]
  private var lastSettled = ContinuousClock.now - pace
  private var later: Task<Void, Never>?
  private var isOver = false

  /// Continues with the routes that were made at the start.
  init(
    _ ledger: UndoLedger, device: String, named: [Int: IPAddress], routes: [EndpointRoute], registry: PeerRegistry,
    log: TunnelJournal
  ) {
    self.ledger = ledger
    self.device = device
    self.routes = routes
    peers = named.mapValues { Whereabouts(named: $0) }
    self.registry = registry
    self.log = log
  }

  /// Records that this side is about to send to an address that it named for a peer, and makes the
  /// route if possible.
  func name(_ address: IPAddress, for peer: Int) {
    var whereabouts = peers[peer] ?? Whereabouts()
    // An address to which the peer moved before counts as named from now on, also when the peer is
    // looked for elsewhere next.
    if whereabouts.heard?.address == address { whereabouts.heard?.isNamed = true }
    whereabouts.named = address
    let former = peers.updateValue(whereabouts, forKey: peer)
    guard concernsRoutes(whereabouts) || former.map(concernsRoutes) ?? false else { return }
    settle(verifying: address)
  }

  /// Returns true if the places of a peer have routes or need them, which is rare. Places are named
  /// at each attempt to reach a peer, so checking the routes of all peers each time would be most
  /// of the work.
  private func concernsRoutes(_ whereabouts: Whereabouts) -> Bool {
    let table = registry.table
    let routing = registry.configuration.table
    return whereabouts.places.contains { place in
      routes.contains { $0.host == place.address } || complaints[place.address] != nil
        || Self.need(of: place, peers: table, routing: routing) != .nothing
    }
  }

  /// Records that an authentic packet came from an address of a peer.
  func follow(_ peer: Int, to address: IPAddress) {
    let known = peers[peer]
    let isNamed = known?.places.contains(Place(address: address, isNamed: true)) ?? false
    guard known?.named != nil || known?.heard?.address != address else { return }
    let whereabouts = Whereabouts(heard: Place(address: address, isNamed: isNamed))
    peers[peer] = whereabouts
    guard later == nil, concernsRoutes(whereabouts) || known.map(concernsRoutes) ?? false else { return }
    guard ContinuousClock.now - lastSettled < Self.pace else { return settle() }
    later = Task {
      // The sleep is cancelled only at the end, and then nothing is done.
      try? await Task.sleep(for: Self.pace)
      self.settleLater()
    }
  }

  private func settleLater() {
    later = nil
    settle()
  }

  /// Removes all routes, and undoes everything else that is recorded. No route is made afterwards.
  ///
  /// - Returns: What could not be undone.
  func end() -> [String] {
    isOver = true
    later?.cancel()
    return ledger.undo()
  }

  // MARK: Routes

  /// Makes the routes that are needed, and removes the others.
  ///
  /// - Parameters:
  ///   - suspect: The address whose route is looked up in the system, because it may have
  ///     disappeared with its network device. None by default.
  ///   - verifiesAll: True to look up all of them, because another program may have removed some.
  ///     The default is false.
  func settle(verifying suspect: IPAddress? = nil, verifiesAll: Bool = false) {
    let routing = registry.configuration.table
    guard !isOver, routing != .off else { return }
    let table = registry.table
    lastSettled = .now
    peers = peers.filter { table.configurations[$0.key] != nil }
    var wanted: [IPAddress] = []
    var unreachable: Set<IPAddress> = []
    for (peer, place) in peers.sorted(by: { $0.key < $1.key }).flatMap({ peer in
      peer.value.places.map { (peer.key, $0) }
    }) {
      switch Self.need(of: place, peers: table, routing: routing) {
      case .nothing: break
      case .route where !wanted.contains(place.address): wanted.append(place.address)
      case .route: break
      case .refused(let owner):
        unreachable.insert(place.address)
        complain(
          about: place.address,
          reason: "\(table.label(peer)) moved there by itself, and it is among the allowed-ips of \(table.label(owner))"
        )
      }
    }
    for host in wanted {
      do throws(TunnelError) { try make(host, verifies: verifiesAll || host == suspect) } catch {
        unreachable.insert(host)
        complain(about: host, reason: "\(error)")
      }
    }
    for route in routes where !wanted.contains(route.host) { remove(route) }
    // A route that could not be removed still exists.
    complaints = complaints.filter { host, _ in unreachable.contains(host) || routes.contains { $0.host == host } }
  }

  /// Returns what an address requires of the routes.
  static func need(of place: Place, peers: PeerTable, routing: RoutingTable) -> Need {
    var best: (length: Int, owner: Int)?
    for (id, peer) in peers.configurations {
      for prefix in peer.allowedIPs where routing.covers(prefix) && prefix.contains(place.address) {
        if best.map({ $0.length < prefix.length }) ?? true { best = (prefix.length, id) }
      }
    }
    guard let owner = best?.owner else { return .nothing }
    return place.isNamed ? .route : .refused(owner: owner)
  }

  private func complain(about host: IPAddress, reason: String) {
    guard complaints.updateValue(reason, forKey: host) != reason else { return }
    log.warning("\(host) is not reached: there is no route to it around the tunnel: \(reason)")
  }

  private func make(_ host: IPAddress, verifies: Bool) throws(TunnelError) {
    let own = routes.first { $0.host == host }
    guard own == nil || verifies else { return }
    let step = "cannot find the way to \(host)"
    let family = host.family == .v4 ? "-4" : "-6"
    let result = try SystemCommand.ip([family, "-oneline", "route", "show", "match", "\(host)"], step: step)
    guard result.exitCode == 0 else { throw .setUp(step: step, reason: result.reason) }
    switch EndpointRoute.find(to: host, in: result.output, avoiding: device) {
    // The route is ours, or was made by an administrator.
    case .isThere: return
    case .nowhere: throw .setUp(step: step, reason: "no route leads there but the tunnel's")
    case .way(let route): try add(route, to: routes.filter { $0.host != host })
    }
  }

  private func add(_ route: EndpointRoute, to others: [EndpointRoute]) throws(TunnelError) {
    let step = "cannot make a route around the tunnel to \(route)"
    try ledger.remember(others + [route])
    let result = try SystemCommand.ip(route.arguments("add"), step: step)
    guard result.exitCode == 0 else {
      // An existing route is not ours to remove.
      try ledger.remember(others)
      routes = others
      throw .setUp(step: step, reason: result.reason)
    }
    routes = others + [route]
    log.info("route around the tunnel to \(route)")
  }

  private func remove(_ route: EndpointRoute) {
    do throws(TunnelError) {
      let result = try SystemCommand.ip(route.arguments("del"), step: "cannot remove the route to \(route)")
      guard result.exitCode == 0 || result.saysGone else {
        throw .setUp(step: "cannot remove the route to \(route)", reason: result.reason)
      }
      routes.removeAll { $0 == route }
      try ledger.remember(routes)
    } catch {
      // It stays recorded, and the removal is tried again.
      if complaints.updateValue("\(error)", forKey: route.host) != "\(error)" { log.error("\(error)") }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The routes around the tunnel, which follow the peers: each whose own address lies in what goes through the tunnel has one, if this side
/// named the address.
///
/// A route is written down before it is made, and the one that it replaces goes when it is there.
actor EndpointRoutes {
  /// Where a peer is.
  struct Place: Equatable, Sendable {
    let address: IPAddress
    /// Whether this side named it: it stands in the file, or belongs to a name that does. Otherwise the peer moved there by itself.
    var isNamed: Bool
  }

  /// What is known of where a peer is.
  private struct Whereabouts {
    /// Where it was heard of last.
    var heard: Place?
    /// Where this side looks for it, until it is heard of again. It may be at the other place all the time.
    var named: IPAddress?

    var places: [Place] {
      [heard, named.map { Place(address: $0, isNamed: true) }].compactMap { $0 }
    }
  }

  /// What a peer's place means for routes.
  enum Need: Equatable {
    /// Its packets go around the tunnel anyway.
    case nothing
    case route
    /// What a peer moved to by itself. Who is on the way can send on a genuine datagram from any address, and with a route
    /// would take what is for that address out of the tunnel.
    case refused(owner: Int)
  }

  /// Peers that move all the time change routes no faster than this.
  private static let pace = Duration.seconds(1)

  private let ledger: UndoLedger
  private let device: String
  private let registry: PeerRegistry
  private let log: @Sendable (String) -> Void
  private var peers: [Int: Whereabouts]
  private var routes: [EndpointRoute]
  /// What was said of addresses without a route, so that it is said once.
  private var complaints: [IPAddress: String] = [:]
  private var lastSettled = ContinuousClock.now - pace
  private var later: Task<Void, Never>?
  private var isOver = false

  /// Goes on from the routes that were made at the start.
  init(
    _ ledger: UndoLedger, device: String, _ named: [Int: IPAddress], _ routes: [EndpointRoute],
    registry: PeerRegistry, log: @escaping @Sendable (String) -> Void
  ) {
    self.ledger = ledger
    self.device = device
    self.routes = routes
    peers = named.mapValues { Whereabouts(named: $0) }
    self.registry = registry
    self.log = log
  }

  /// This side is about to send to an address that it named for a peer. When this returns there is a way, if there can be one.
  func name(_ address: IPAddress, for peer: Int) {
    var whereabouts = peers[peer] ?? Whereabouts()
    // A peer that had moved there by itself before is believed from now on, also when it is looked for elsewhere next.
    if whereabouts.heard?.address == address { whereabouts.heard?.isNamed = true }
    whereabouts.named = address
    let former = peers.updateValue(whereabouts, forKey: peer)
    guard concernsRoutes(whereabouts) || former.map(concernsRoutes) ?? false else { return }
    settle(verifying: address)
  }

  /// Whether the places of a peer have routes, or need them. Those of most peers do not, and each is named whenever it is looked for:
  /// looking at all peers each time would be most of the work.
  private func concernsRoutes(_ whereabouts: Whereabouts) -> Bool {
    let (table, routing) = (registry.table, registry.configuration.table)
    return whereabouts.places.contains { place in
      routes.contains { $0.host == place.address } || complaints[place.address] != nil
        || Self.need(place, table, routing) != .nothing
    }
  }

  /// Something authentic came from an address of a peer.
  func follow(_ peer: Int, to address: IPAddress) {
    let known = peers[peer]
    let isNamed = known?.places.contains(Place(address: address, isNamed: true)) ?? false
    guard known?.named != nil || known?.heard?.address != address else { return }
    let whereabouts = Whereabouts(heard: Place(address: address, isNamed: isNamed))
    peers[peer] = whereabouts
    guard later == nil, concernsRoutes(whereabouts) || known.map(concernsRoutes) ?? false else { return }
    guard ContinuousClock.now - lastSettled < Self.pace else { return settle() }
    later = Task {
      // Cut short only when all is over, and then nothing is done.
      try? await Task.sleep(for: Self.pace)
      self.settleLater()
    }
  }

  private func settleLater() {
    later = nil
    settle()
  }

  /// Removes all routes, and undoes everything else that is written down. No route is made afterwards.
  ///
  /// - Returns: what could not be undone.
  func end() -> [String] {
    isOver = true
    later?.cancel()
    return ledger.undo()
  }

  // MARK: Routes

  /// Makes the routes that are needed, and removes those that are not. A route that is said to be there may have gone with its
  /// network device: that to `suspect` is looked for.
  func settle(verifying suspect: IPAddress? = nil) {
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
      switch Self.need(place, table, routing) {
      case .nothing: break
      case .route where !wanted.contains(place.address): wanted.append(place.address)
      case .route: break
      case .refused(let owner):
        unreachable.insert(place.address)
        complain(
          place.address,
          "\(table.label(peer)) moved there by itself, and it is among the allowed-ips of \(table.label(owner))")
      }
    }
    for host in wanted {
      do throws(TunnelError) { try make(host, verifies: host == suspect) } catch {
        unreachable.insert(host)
        complain(host, "\(error)")
      }
    }
    for route in routes where !wanted.contains(route.host) { remove(route) }
    // What could not be removed is still there.
    complaints = complaints.filter { host, _ in unreachable.contains(host) || routes.contains { $0.host == host } }
  }

  /// What a place means for routes.
  static func need(_ place: Place, _ peers: PeerTable, _ routing: RoutingTable) -> Need {
    var best: (length: Int, owner: Int)?
    for (id, peer) in peers.configurations {
      for prefix in peer.allowedIPs where routing.covers(prefix) && prefix.contains(place.address) {
        if best.map({ $0.length < prefix.length }) ?? true { best = (prefix.length, id) }
      }
    }
    guard let owner = best?.owner else { return .nothing }
    return place.isNamed ? .route : .refused(owner: owner)
  }

  private func complain(_ host: IPAddress, _ reason: String) {
    guard complaints.updateValue(reason, forKey: host) != reason else { return }
    log("\(host) is not reached: there is no route to it around the tunnel: \(reason)")
  }

  private func make(_ host: IPAddress, verifies: Bool) throws(TunnelError) {
    let own = routes.first { $0.host == host }
    guard own == nil || verifies else { return }
    let step = "cannot find the way to \(host)"
    let family = host.family == .v4 ? "-4" : "-6"
    let result = try SystemCommand.ip([family, "-oneline", "route", "show", "match", "\(host)"], step: step)
    guard result.exitCode == 0 else { throw .setUp(step: step, reason: result.reason) }
    switch EndpointRoute.find(to: host, in: result.output, avoiding: device) {
    // Ours, or somebody has made one.
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
      // Whatever is there is not ours to remove.
      try ledger.remember(others)
      routes = others
      throw .setUp(step: step, reason: result.reason)
    }
    routes = others + [route]
    log("route around the tunnel to \(route)")
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
      // It stays written down, and is tried again.
      if complaints.updateValue("\(error)", forKey: route.host) != "\(error)" { log("\(error)") }
    }
  }
}

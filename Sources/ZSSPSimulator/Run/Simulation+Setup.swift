// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The peers, and what is stored before the start.
extension Simulation {
  func makePeer(_ index: Int, of count: Int) throws(ConfigurationError) -> SimulatedPeer {
    var random = SimulationRandom(seed: seed, stream: 1000 + UInt64(index))
    let isPersistent: Bool
    let coin = random.chance(0.5)
    switch plan.mode {
    case .persistent: isPersistent = true
    case .opportunistic: isPersistent = false
    case .mixed: isPersistent = coin
    }
    let seeded = SeededProvider(provider, seed: seed, stream: 2000 + UInt64(index))
    let isStranger = index >= plan.peers
    var configuration = EndpointConfiguration(
      staticKey: seeded.generateAgreementKey(), provider: NonceGuard(seeded, ledger: ledger),
      flags: isPersistent && !isStranger ? .persistent : .opportunistic, helloPolicy: plan.helloPolicy,
      settings: temper.settings(plan.settings))
    configuration.trace = tracer
    let clock = SimulatedClock(
      at: now, showing: Instant(nanoseconds: Int64(random.below(1 << 50))),
      skew: random.below(2 * plan.faults.clockSkew + 1) - plan.faults.clockSkew)
    let endpoint = try factory(index, environment(of: index, configuration: configuration))
    let peer = SimulatedPeer(
      index: index, configuration: configuration, endpoint: endpoint, clock: clock, peers: count)
    if isStranger { peer.address = Address(ipv4: 0xE000_0001, port: 666) }
    return peer
  }

  /// Makes the parameters of a peer's endpoint, each time that it starts.
  func environment(of index: Int, configuration: EndpointConfiguration) -> SimulatedEnvironment {
    SimulatedEnvironment(
      configuration: configuration, store: { [unowned self] in storeAtOnce($0, of: peers[index]) },
      accept: { [unowned self] in decideAtOnce($0, ratchetPeer: $1, of: peers[index]) })
  }

  /// Connects up to five peers all with all, more peers each with its four neighbours on a ring.
  func connect() {
    let count = plan.peers
    for low in 0..<count {
      for high in low + 1..<max(count, low + 1)
      where count <= 5 || high - low <= 2 || low + count - high <= 2 {
        links.append((low, high))
        peers[low].neighbours.append(high)
        peers[high].neighbours.append(low)
      }
    }
    for (low, high) in links where isPersistent(low, high) {
      var random = SimulationRandom(seed: seed, stream: 1 << 32 | UInt64(low) << 16 | UInt64(high))
      let password = (0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let state = RatchetState(oneTimePassword: password.rawBytes, provider: provider)
      peers[low].store.set(peers[high].publicKey, to: RatchetPair(state))
      peers[high].store.set(peers[low].publicKey, to: RatchetPair(state))
    }
  }

  /// Returns true if two peers require their ratchet: both do so if one of them is persistent.
  func isPersistent(_ one: Int, _ other: Int) -> Bool {
    peers[one].flags == .persistent || peers[other].flags == .persistent
  }

  /// Returns the flags of sessions between two peers.
  func flags(between one: Int, and other: Int) -> SecurityFlags {
    isPersistent(one, other) ? .persistent : .opportunistic
  }

  func isStranger(_ index: Int) -> Bool { index >= plan.peers }

  /// Returns the peer with this key; nil if unknown.
  func index(of key: PublicKey) -> Int? { peers.firstIndex { $0.publicKey == key } }

  func flow(from: Int, to: Int) -> Int { from * peers.count + to }
}

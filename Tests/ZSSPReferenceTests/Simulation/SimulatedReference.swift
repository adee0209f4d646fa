// SPDX-License-Identifier: Apache-2.0

import ZSSP
import ZSSPReference
import ZSSPSimulator

/// The reference in a simulated peer.
final class SimulatedReference: SimulatedEndpoint {
  private let peer: ReferencePeer
  private(set) var traffic = SimulatedTraffic()

  init(_ environment: SimulatedEnvironment) {
    let configuration = environment.configuration
    peer = ReferencePeer(
      staticKey: configuration.staticKey, provider: configuration.provider,
      profile: ReferencePeer.Profile(configuration.profile), flags: ReferencePeer.Flags(configuration.flags),
      helloPolicy: ReferencePeer.HelloPolicy(configuration.helloPolicy),
      settings: ReferencePeer.Settings(configuration.settings), store: SimulatedStoreAtOnce(ask: environment.store)
    ) { question in
      switch environment.accept(question.peer, question.ratchetPeer) {
      case .accept(let flags): .accept(ReferencePeer.Flags(flags))
      case .reject(let silently): .reject(silently: silently)
      }
    }
  }

  var actsAtOnce: Bool { true }
  var nextDeadline: Instant? { peer.nextDeadline }

  var holdings: SimulatedHoldings {
    let counts = peer.counts
    return SimulatedHoldings(
      sessions: counts.sessions, halfOpen: counts.halfOpen, incompleteHellos: counts.hellos, keyIDs: counts.keyIDs)
  }

  func receive(_ datagram: [UInt8], from source: Address, at now: Instant) -> SimulatedReception {
    traffic.datagramsReceived += 1
    switch peer.receive(datagram, from: source, at: now) {
    case .message(let session, let message): return .message(session, message)
    case .handled: return .handled
    case .dropped(let reason):
      traffic.drops["\(reason)", default: 0] += 1
      return .dropped("\(reason)")
    }
  }

  func advance(to now: Instant) { peer.tick(at: now) }

  func open(to key: PublicKey, at address: Address, identity: [UInt8], flags: SecurityFlags?, now: Instant) -> Int? {
    try? peer.open(
      to: key, at: address, identity: identity, flags: flags.map(ReferencePeer.Flags.init), now: now)
  }

  func send(_ message: [UInt8], on session: Int, at now: Instant) throws {
    try peer.send(message, on: session, at: now)
  }

  func rekey(_ session: Int, at now: Instant) { peer.rekey(session, at: now) }
  func close(_ session: Int) { peer.close(session) }

  func session(_ number: Int) -> SimulatedSession? {
    peer.description(of: number).map {
      SimulatedSession(
        state: $0.state, address: $0.address, isEstablished: $0.canSend, chainLength: $0.chainLength,
        stateDeadline: $0.timeout, resendDeadline: $0.resend)
    }
  }

  func takeEvents() -> [SimulatedEvent] {
    peer.takeEvents().map { event in
      switch event {
      case .established(let id, let info):
        .established(id, peer: info.peer, info.isInitiator ? .initiator : .responder, chainLength: info.chainLength)
      case .confirmed(let id): .confirmed(id)
      case .restarted(let id, let reason): .restarted(id, "\(reason)")
      case .downgraded(let id, let key, let length): .downgraded(id, peer: key, heldChainLength: length)
      case .rekeyed(let id, let length): .rekeyed(id, chainLength: length)
      case .answered(let id, _): .answered(id)
      case .moved(let id, _, _): .moved(id)
      case .ended(let id, let reason): .ended(id, "\(reason)")
      case .withdrawn: .withdrawn("")
      }
    }
  }

  func takeDatagrams() -> [(address: Address, bytes: [UInt8])] {
    let datagrams = peer.takeDatagrams()
    traffic.datagramsSent += UInt64(datagrams.count)
    return datagrams
  }
}

/// The simulator's store with the interface that the reference needs, which answers at once.
private final class SimulatedStoreAtOnce: ReferenceStore {
  private let ask: (StoreRequest) -> StoreAnswer

  init(ask: @escaping (StoreRequest) -> StoreAnswer) { self.ask = ask }

  func state(_ first: Fingerprint, _ second: Fingerprint) throws(StoreFailure) -> (
    state: RatchetState, peer: PublicKey
  )? {
    switch ask(.lookUp(first, second: second)) {
    case .found(let state, let peer): return (state, peer)
    case .unknown: return nil
    default: throw StoreFailure()
    }
  }

  func row(_ peer: PublicKey) throws(StoreFailure) -> HeldRow {
    guard case .pair(let pair, let revision) = ask(.load(peer: peer)) else { throw StoreFailure() }
    return (pair, revision)
  }

  func swap(
    of peer: PublicKey, from expected: RatchetPair, to new: RatchetPair, since start: UInt64?
  ) throws(StoreFailure) -> Bool {
    switch ask(.compareAndSwap(peer: peer, expected: expected, new: new, since: start)) {
    case .swapped: return true
    case .notSwapped: return false
    default: throw StoreFailure()
    }
  }

  func revoke(of peer: PublicKey, name: Fingerprint) throws(StoreFailure) -> HeldRow {
    guard case .pair(let pair, let revision) = ask(.revoke(name, peer: peer)) else { throw StoreFailure() }
    return (pair, revision)
  }
}

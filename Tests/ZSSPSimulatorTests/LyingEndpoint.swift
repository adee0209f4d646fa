// SPDX-License-Identifier: Apache-2.0
import ZSSP

@testable import ZSSPSimulator

/// An endpoint with a fault. Subclasses change its inputs and outputs.
class LyingEndpoint: SimulatedEndpoint {
  let base: any SimulatedEndpoint

  init(_ base: any SimulatedEndpoint) { self.base = base }

  var nextDeadline: Instant? { base.nextDeadline }
  var holdings: SimulatedHoldings { base.holdings }
  var traffic: SimulatedTraffic { base.traffic }
  var actsAtOnce: Bool { base.actsAtOnce }

  func receive(_ datagram: [UInt8], from source: Address, at now: Instant) -> SimulatedReception {
    base.receive(datagram, from: source, at: now)
  }
  func advance(to now: Instant) { base.advance(to: now) }
  func open(to peer: PublicKey, at address: Address, identity: [UInt8], flags: SecurityFlags?, now: Instant) -> Int? {
    base.open(to: peer, at: address, identity: identity, flags: flags, now: now)
  }
  func send(_ message: [UInt8], on session: Int, at now: Instant) throws {
    try base.send(message, on: session, at: now)
  }
  func rekey(_ session: Int, at now: Instant) { base.rekey(session, at: now) }
  func close(_ session: Int) { base.close(session) }
  func session(_ number: Int) -> SimulatedSession? { base.session(number) }
  func keyMark(_ session: Int) -> KeyMark? { base.keyMark(session) }
  func handshakeMark(_ session: Int) -> HandshakeMark? { base.handshakeMark(session) }
  func localKeyID(_ session: Int) -> KeyID? { base.localKeyID(session) }
  func takeEvents() -> [SimulatedEvent] { base.takeEvents() }
  func takeDatagrams() -> [(address: Address, bytes: [UInt8])] { base.takeDatagrams() }
  func nextRequest() -> Request? { base.nextRequest() }
  func answer(_ id: RequestID, store answer: StoreAnswer, at now: Instant) {
    base.answer(id, store: answer, at: now)
  }
  func answer(_ id: RequestID, accept decision: AcceptDecision, at now: Instant) {
    base.answer(id, accept: decision, at: now)
  }
  func cancelAccept(_ id: RequestID) -> Bool { base.cancelAccept(id) }
  func complete(_ result: PublicKeyResult, at now: Instant) { base.complete(result, at: now) }
  func refuse(_ id: RequestID) { base.refuse(id) }
}

/// Does not hear that an accept is cancelled.
final class DeafEndpoint: LyingEndpoint {
  override func cancelAccept(_ id: RequestID) -> Bool { false }
}

/// Sends to where a Hello came from.
final class DivertedEndpoint: LyingEndpoint {
  override func session(_ number: Int) -> SimulatedSession? {
    base.session(number).map {
      SimulatedSession(
        state: $0.state, address: Address(ipv4: 0xD000_0009, port: 6666), isEstablished: $0.isEstablished,
        chainLength: $0.chainLength, stateDeadline: $0.stateDeadline, resendDeadline: $0.resendDeadline)
    }
  }
}

/// Reports each session as one that goes on from a downgrade.
final class AlarmedEndpoint: LyingEndpoint {
  override func takeEvents() -> [SimulatedEvent] {
    base.takeEvents().flatMap { event -> [SimulatedEvent] in
      guard case .established(let id, let peer, _, _, _) = event else { return [event] }
      return [.downgraded(id, peer: peer, heldChainLength: 7), event]
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
@testable import ZSSP

/// What only an authenticated packet may change: states and their timers, counters, keys, the owners of requests.
struct Snapshot {
  private struct SessionView: Equatable {
    let state: String
    let address: Address
    let stateDeadline, resendDeadline, pendingDeadline: Instant
    let pending: RequestID?
    let sendCounter: UInt64
    let ratchet: RatchetPair
    let keyIDs: [KeyID?]

    init(_ session: Session) {
      state = session.state.name
      address = session.address
      (stateDeadline, resendDeadline) = (session.stateDeadline, session.resendDeadline)
      (pendingDeadline, pending) = (session.pendingDeadline, session.pending)
      sendCounter = session.sendCounter
      ratchet = session.ratchet
      keyIDs = [
        session.offeredKeyID, session.answeredKeyID, session.currentKey?.localID, session.otherKey?.localID,
      ]
    }
  }

  private let sessions: [SessionID: SessionView]
  private let received: [SessionID: UInt64]
  private let halfOpen: [ObjectIdentifier]
  private let requests: Int

  init(_ peer: borrowing FuzzPeer) {
    let all = peer.allSessions
    sessions = Dictionary(uniqueKeysWithValues: all.map { ($0.id, SessionView($0)) })
    received = Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0.replayWindow.next) })
    halfOpen = peer.endpoint.halfOpen.map { ObjectIdentifier($0) }
    requests = peer.endpoint.continuations.count
  }

  /// Checks that a datagram which was dropped for `reason` has changed nothing.
  func expectUnchanged(_ peer: borrowing FuzzPeer, _ reason: DropReason) {
    let after = Snapshot(peer)
    expect(sessions == after.sessions, "a dropped datagram changes no session: \(reason)")
    expect(halfOpen == after.halfOpen, "a dropped datagram changes no handshake: \(reason)")
    expect(requests == after.requests, "a dropped datagram asks for nothing: \(reason)")
    // These may come after authentication, which is what moves the window.
    guard ![.implausible, .busy, .superseded].contains(reason) else { return }
    expect(received == after.received, "a dropped datagram moves no replay window: \(reason)")
  }
}

extension FuzzPeer {
  /// Every session of the endpoint.
  var allSessions: [Session] { endpoint.peers.values.joined().compactMap { endpoint.sessions[$0] } }

  /// The bounds of everything that could grow (Documentation/architecture.md), and that nothing is left behind by what has
  /// ended.
  func checkBounds() {
    let (now, limits) = (endpoint.diagnostics, endpoint.configuration.settings)
    let sessions = allSessions
    expect(now.sessions == sessions.count, "every session belongs to a peer")
    expect(now.halfOpen <= limits.halfOpenLimit, "half-open handshakes: \(now.halfOpen)")
    expect(now.incompleteHellos <= limits.helloLimit, "incomplete Hellos: \(now.incompleteHellos)")
    expect(now.timers <= now.sessions + now.halfOpen, "one deadline each: \(now.timers)")
    expect(now.requests <= now.sessions + now.halfOpen, "one request each: \(now.requests)")
    var owned = 0
    for session in sessions {
      let keyIDs = [
        session.offeredKeyID, session.answeredKeyID, session.currentKey?.localID, session.otherKey?.localID,
      ]
      for case .some(let keyID) in keyIDs where keyID != .none {
        owned += 1
        guard case .session(let owner)? = endpoint.keyIDs[keyID] else { fatalError("broken: a key id without owner") }
        expect(owner === session, "a key id leads to its session")
      }
      expect(session.reassembly.bytes <= limits.reassemblyLimit, "bytes of incomplete packets")
      expect(session.reassembly.count <= limits.reassemblyPackets, "incomplete packets")
    }
    for handshake in endpoint.halfOpen {
      if handshake.keyID != .none { owned += 1 }
      expect(handshake.reassembly.count <= 1, "one incomplete X3")
    }
    expect(now.keyIDs == owned, "\(now.keyIDs) key ids, of which \(owned) are in use")
  }
}

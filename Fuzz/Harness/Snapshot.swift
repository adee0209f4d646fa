// SPDX-License-Identifier: Apache-2.0
@testable import ZSSP

/// The values that only an authenticated packet may change: states and their timers, counters,
/// keys, the owners of requests.
struct Snapshot {
  private struct SessionView: Equatable {
    let state: String
    let stateDeadline, resendDeadline: Instant
    let isWaiting: Bool
    let sendCounter: UInt64
    let held: RatchetPair?
    let keyIDs: [KeyID]

    init(_ session: Session) {
      state = session.stateName
      (stateDeadline, resendDeadline) = (session.stateDeadlines.end, session.stateDeadlines.resend)
      isWaiting = session.isWaiting
      sendCounter = session.core.keys.counter
      held = session.heldStates
      keyIDs = session.keyIDs
    }
  }

  private let sessions: [SessionID: SessionView]
  private let received: [SessionID: UInt64]
  private let addresses: [SessionID: Address]
  private let halfOpen: [ObjectIdentifier]
  private let requests: Int

  init(_ peer: borrowing FuzzPeer) {
    let all = peer.allSessions
    sessions = Dictionary(uniqueKeysWithValues: all.map { ($0.id, SessionView($0)) })
    received = Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0.core.keys.window.next) })
    addresses = Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0.address) })
    halfOpen = peer.endpoint.hellos.handshakes.map { ObjectIdentifier($0) }
    requests = peer.endpoint.pending.count
  }

  /// Checks that a datagram which was dropped for `reason` has changed nothing.
  func expectUnchanged(_ peer: borrowing FuzzPeer, _ reason: DropReason) {
    let after = Snapshot(peer)
    expect(sessions == after.sessions, "a dropped datagram changes no session: \(reason)")
    expect(halfOpen == after.halfOpen, "a dropped datagram changes no handshake: \(reason)")
    expect(requests == after.requests, "a dropped datagram asks for nothing: \(reason)")
    // These may come after authentication, which is what moves the window, and the session to the
    // address of the newest packet.
    guard ![.unexpected, .busy, .superseded].contains(reason) else { return }
    expect(received == after.received, "a dropped datagram moves no replay window: \(reason)")
    expect(addresses == after.addresses, "a dropped datagram moves no session: \(reason)")
  }
}

extension Session {
  /// The ids of its keys, those that are offered among them.
  var keyIDs: [KeyID] { offeredKeyIDs + [core.keys.current?.localID, core.keys.other?.localID].compactMap(\.self) }
}

extension FuzzPeer {
  /// Every session of the endpoint.
  var allSessions: [Session] { Array(endpoint.peers.sessions.all) }

  /// Checks the bounds of everything that could grow (Documentation/architecture.md), and that
  /// nothing remains of what has ended.
  func checkBounds() {
    let now = endpoint.diagnostics
    let limits = endpoint.configuration.settings
    let sessions = allSessions
    expect(now.sessions == sessions.count, "every session belongs to a peer")
    expect(now.halfOpen <= limits.halfOpenLimit, "half-open handshakes: \(now.halfOpen)")
    expect(now.incompleteHellos <= limits.helloLimit, "incomplete Hellos: \(now.incompleteHellos)")
    expect(now.timers <= now.sessions + now.halfOpen, "one deadline each: \(now.timers)")
    expect(now.requests <= now.sessions + now.halfOpen, "one request each: \(now.requests)")
    let held = endpoint.memory.packets.bytes
    expect(held <= limits.totalReassemblyLimit, "bytes of all incomplete packets: \(held)")
    expect(held + endpoint.hellos.reassembly.bytes == now.reassemblyBytes, "they are counted as what they are")
    var owned = 0
    for session in sessions {
      expect(endpoint.peers.ids(of: session.peer).contains(session.id), "every session belongs to its peer")
      for keyID in session.keyIDs {
        owned += 1
        guard case .session(let owner)? = endpoint.keyIDs[keyID] else { fatalError("broken: a key id without owner") }
        expect(owner === session, "a key id leads to its session")
      }
      expect(session.reassembly.bytes <= limits.reassemblyLimit, "bytes of incomplete packets")
      expect(session.reassembly.count <= limits.reassemblyPackets, "incomplete packets")
    }
    for handshake in endpoint.hellos.handshakes {
      if handshake.keyID != .none { owned += 1 }
      expect(handshake.reassembly.count <= 1, "one incomplete X3")
    }
    expect(now.keyIDs == owned, "\(now.keyIDs) key ids, of which \(owned) are in use")
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The invariants of a session beyond its state: which sessions it replaces, and where it sends.
extension Simulation {
  /// The time in which sessions may send to the wrong address after a move, or after a packet from
  /// elsewhere: the maximum time of a handshake under way, with all possible delays.
  private static let settlingTime = Duration.seconds(60)

  /// Records a session's marks when it gets a key.
  func sessionChanged(_ index: Int, of peer: SimulatedPeer, from state: String, to session: SimulatedSession) {
    let id = peer.known[index].id
    guard session.isEstablished else { return }
    if state != "S1", state != "S2", state != "R1", state != "R2" {
      peer.known[index].mark = peer.endpoint.handshakeMark(id)
      if peer.known[index].establishedAt == nil { peer.known[index].establishedAt = now }
    }
    guard session.state == "S2" else { return }
    peer.known[index].keyMark = peer.endpoint.keyMark(id)
    checkAgreement(peer.known[index], of: peer)
    checkAddress(of: peer.known[index], address: session.address, at: peer)
  }

  /// Checks that both ends of a session that are in S2 have the same key.
  private func checkAgreement(_ known: SimulatedPeer.Known, of peer: SimulatedPeer) {
    guard let other = known.other, var mark = known.keyMark else { return }
    for counterpart in peers[other].known where counterpart.state == "S2" && counterpart.other == peer.index {
      guard let theirs = counterpart.keyMark, theirs.sending == mark.receiving, theirs.receiving == mark.sending else {
        continue
      }
      report.agreements += 1
      hooks.misread?(&mark)
      if theirs.statePrefix != mark.statePrefix || theirs.chainLength != mark.chainLength {
        fail(
          .disagreement,
          details:
            "peers \(peer.index) and \(other) are in S2 with different keys, of chain lengths \(mark.chainLength) "
            + "and \(theirs.chainLength)")
      }
    }
  }

  /// Checks that a session sends to its peer's address, unless the peer has moved, or an authentic
  /// packet of it came from elsewhere. A Hello does not count, because anyone can forward it.
  private func checkAddress(of known: SimulatedPeer.Known, address: Address, at peer: SimulatedPeer) {
    guard let other = known.other, !isStranger(other), address != peers[other].address,
      let establishedAt = known.establishedAt
    else { return }
    let last = max(peers[other].movedAt, strayed[flow(from: other, to: peer.index)])
    guard last < establishedAt.advanced(by: .zero - Self.settlingTime) else { return }
    fail(
      .diverted,
      details:
        "peer \(peer.index) sends what is for \(other) to \(isMallory(address) ? "an attacker" : "another address"), "
        + "from where nothing authentic came but a Hello")
  }

  /// Records an authentic packet that did not come from its sender's address.
  func recordSource(of parcel: Parcel, at peer: SimulatedPeer) {
    guard let origin = parcel.origin, let label = parcel.label, label.type != .hello, label.type != .challenge,
      parcel.from != peers[origin].address
    else { return }
    strayed[flow(from: origin, to: peer.index)] = now
  }

  /// Checks the sessions that were replaced in this step: a session that works at both ends is not
  /// replaced by a handshake that its peer has abandoned before.
  func checkReplaced(of peer: SimulatedPeer) {
    defer { peer.replaced.removeAll() }
    for old in peer.replaced {
      guard let other = old.other, !isStranger(other), let mark = old.mark, let swappedAt = old.swappedAt,
        peers[other].isUp, hasSession(mark, of: peers[other], isEstablished: true),
        let new = peer.known.last(where: { $0.other == other && $0.isEstablished && $0.id != old.id }),
        let newMark = new.mark, !hasSession(newMark, of: peers[other], isEstablished: false),
        let keyID = peer.endpoint.localKeyID(new.id),
        let sentAt = memory.firstSeen(.completion, from: other, to: peer.index, keyID: keyID), sentAt < swappedAt,
        !(plan.responders > 1 && peer.index == 0)
      else { continue }
      fail(
        .replacedByStale,
        details:
          "peer \(peer.index) replaced its session with \(other), which worked at both ends, by one of an older handshake, "
          + "of which \(other) knows nothing any more")
    }
  }

  /// Returns true if a peer has the other end of a session or handshake.
  private func hasSession(_ mark: HandshakeMark, of peer: SimulatedPeer, isEstablished: Bool) -> Bool {
    peer.known.contains { known in
      (known.isEstablished || !isEstablished) && peer.endpoint.handshakeMark(known.id)?.matches(mark) == true
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// What is known of the ratchet of two peers beyond what their stores hold.
struct PairHistory: Sendable {
  /// A store of one of them was lost, and they have not had a state in common since. Then they may go on without one.
  var isExcused = false
  /// A store of one of them was lost at some time.
  var wasLost = false
  /// Until when a downgrade is the report of such a loss.
  var excusedUntil = Instant(nanoseconds: .min)
  /// Until when the loss may not be over, whatever they hold.
  var isExcusedUntil = Instant(nanoseconds: .min)
}

/// What must hold of the stores of two peers after every change.
extension Simulation {
  private func pairIndex(_ one: Int, _ other: Int) -> Int { flow(min(one, other), max(one, other)) }

  /// A store of one of the two was lost.
  func excuse(_ one: Int, _ other: Int) {
    histories[pairIndex(one, other)].isExcused = true
    histories[pairIndex(one, other)].wasLost = true
  }

  /// A swap of a process that has ended took effect when the next one was running already.
  ///
  /// What names the store is being asked to take is known to the process that asks, and to none after it (section 14). So in
  /// opportunistic mode the next one may have taken the Hello that names such a state for a stranger's, just as another responder with
  /// the same store may, and the peer goes on without a state and reports a downgrade. An attempt that began so is over after a
  /// handshake timeout in each of A1, B2 and A3.
  func excuseOrphan(_ new: RatchetPair, of peer: Int, with other: Int) {
    guard !isPersistent(peer, other), new.state1.chainLength == 1 else { return }
    histories[pairIndex(peer, other)].isExcused = true
    histories[pairIndex(peer, other)].isExcusedUntil = now.advanced(by: plan.settings.handshakeTimeout * 3)
  }

  /// How long after two peers have come together again a downgrade of before may still be reported: where the store took the swap
  /// and its answer never comes, the endpoint waits for it until the half-open handshake has expired, and a re-key timeout more
  /// (section 14). Clocks that run slow are a little later.
  private var reportDelay: Duration { plan.settings.handshakeTimeout + plan.settings.rekeyTimeout + .seconds(5) }

  // [DEC-62] [DEC-65] [DEC-74]
  /// Two peers whose stores were never lost have a state in common, were it the empty one of peers that have never met.
  ///
  /// A loss is over, and the promise holds again, once they have come to a state in common.
  func checkCommonState(of peer: SimulatedPeer, with other: Int) {
    guard !isStranger(peer.index), !isStranger(other) else { return }
    let index = pairIndex(peer.index, other)
    let (own, theirs) = (peer.store.pair(peers[other].publicKey), peers[other].store.pair(peer.publicKey))
    let common = [own.state1, own.state2].compactMap(\.self).filter { theirs.contains($0) }
    if histories[index].isExcused, now >= histories[index].isExcusedUntil, common.contains(where: { !$0.isEmpty }) {
      histories[index].isExcused = false
      histories[index].excusedUntil = now.advanced(by: reportDelay)
    }
    guard common.isEmpty, !histories[index].isExcused, !mayLoseTrack(peer.index, other) else { return }
    fail(
      .noCommonState,
      "peers \(peer.index) and \(other) have no ratchet state in common: they hold \(own.name) and \(theirs.name)")
  }

  /// Whether a store of one of the two was ever lost.
  func wasLost(_ one: Int, _ other: Int) -> Bool { histories[pairIndex(one, other)].wasLost }

  /// A downgrade is reported where a store was lost, and nowhere else.
  func checkDowngradeReport(of peer: SimulatedPeer, by other: Int) {
    let history = histories[pairIndex(peer.index, other)]
    guard !history.isExcused, now > history.excusedUntil, !mayLoseTrack(peer.index, other) else { return }
    let (own, theirs) = (peer.store.pair(peers[other].publicKey), peers[other].store.pair(peer.publicKey))
    fail(
      .falseDowngrade,
      "peer \(peer.index) reports a downgrade by \(other), and no store was lost: they hold \(own.name) and "
        + "\(theirs.name)")
  }

  /// Several responders share nothing but their store, which keeps nothing of peers that it does not know yet (section 14). A late
  /// X3 of a first contact can come to another one than all that came after it.
  private func mayLoseTrack(_ one: Int, _ other: Int) -> Bool {
    !isPersistent(one, other) && plan.responders > 1 && (one == 0 || other == 0)
  }
}

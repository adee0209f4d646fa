// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The history of a pair's ratchet that their stores do not contain.
struct PairHistory: Sendable {
  /// True if one of their stores was lost, and they have had no common state since. Then they may
  /// continue without one.
  var isExcused = false
  /// True if one of their stores was ever lost.
  var wasLost = false
  /// The time until which a downgrade is the report of such a loss.
  var excusedUntil = Instant(nanoseconds: .min)
  /// The time until which the loss may not have ended, whatever they hold.
  var isExcusedUntil = Instant(nanoseconds: .min)
}

/// The invariants of the stores of a pair, checked after every change.
extension Simulation {
  private func pairIndex(_ one: Int, _ other: Int) -> Int { flow(from: min(one, other), to: max(one, other)) }

  /// Records that a store of one of the two was lost.
  func excuse(_ one: Int, _ other: Int) {
    histories[pairIndex(one, other)].isExcused = true
    histories[pairIndex(one, other)].wasLost = true
  }

  /// Records that a swap of a crashed process took effect while its successor was running.
  ///
  /// Only the process that asks the store knows the names that the store is about to take (section
  /// 14). So in opportunistic mode the successor may have taken a Hello that names such a state for
  /// a stranger's, like another responder with the same store. The peer then continues without a
  /// state and reports a downgrade. Such an attempt ends after a handshake timeout in each of A1,
  /// B2 and A3.
  func excuseOrphan(_ new: RatchetPair, of peer: Int, with other: Int) {
    guard !isPersistent(peer, other), new.state1.chainLength == 1 else { return }
    histories[pairIndex(peer, other)].isExcused = true
    histories[pairIndex(peer, other)].isExcusedUntil = now.advanced(by: plan.settings.handshakeTimeout * 3)
  }

  /// The time after two peers have a common state again in which an earlier downgrade may still be
  /// reported. If the store's answer to the swap is lost, the endpoint waits until the half-open
  /// handshake has expired, and a re-key timeout more (section 14). Slow clocks add a little.
  private var reportDelay: Duration { plan.settings.handshakeTimeout + plan.settings.rekeyTimeout + .seconds(5) }

  // [DEC-62] [DEC-65] [DEC-74]
  /// Checks that two peers whose stores were never lost have a common state, possibly the empty one
  /// of peers that have never met.
  ///
  /// A loss has ended, and the promise holds again, once they have a common state.
  func checkCommonState(of peer: SimulatedPeer, with other: Int) {
    guard !isStranger(peer.index), !isStranger(other) else { return }
    let index = pairIndex(peer.index, other)
    let own = peer.store.pair(peers[other].publicKey)
    let theirs = peers[other].store.pair(peer.publicKey)
    let common = [own.state1, own.state2].compactMap(\.self).filter { theirs.contains($0) }
    if histories[index].isExcused, now >= histories[index].isExcusedUntil, common.contains(where: { !$0.isEmpty }) {
      histories[index].isExcused = false
      histories[index].excusedUntil = now.advanced(by: reportDelay)
    }
    guard common.isEmpty, !histories[index].isExcused, !mayLoseTrack(peer.index, other) else { return }
    fail(
      .noCommonState,
      details:
        "peers \(peer.index) and \(other) have no ratchet state in common: they hold \(own.name) and \(theirs.name)")
  }

  /// Returns true if one of the two stores was ever lost.
  func wasLost(_ one: Int, _ other: Int) -> Bool { histories[pairIndex(one, other)].wasLost }

  /// Checks that a downgrade is reported only after a loss of a store.
  func checkDowngradeReport(of peer: SimulatedPeer, by other: Int) {
    let history = histories[pairIndex(peer.index, other)]
    guard !history.isExcused, now > history.excusedUntil, !mayLoseTrack(peer.index, other) else { return }
    let own = peer.store.pair(peers[other].publicKey)
    let theirs = peers[other].store.pair(peer.publicKey)
    fail(
      .falseDowngrade,
      details: "peer \(peer.index) reports a downgrade by \(other), and no store was lost: they hold \(own.name) and "
        + "\(theirs.name)")
  }

  /// Several responders share only their store, which has nothing about unknown peers (section 14).
  /// A late X3 of a first contact can reach a different responder than all later packets.
  private func mayLoseTrack(_ one: Int, _ other: Int) -> Bool {
    !isPersistent(one, other) && plan.responders > 1 && (one == 0 || other == 0)
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A peer's ratchet store, which survives the peer's crashes. Rows are in the order of their
/// creation.
struct SimulatedStore: Sendable {
  /// A pair that was replaced by one with a shorter chain.
  struct Regress: Sendable {
    let peer: PublicKey
    let from: UInt64
    let to: UInt64
  }

  private(set) var rows: [(peer: PublicKey, row: RatchetRow)] = []
  /// Set by the last swap if it shortened a chain.
  private(set) var regress: Regress?

  func pair(_ peer: PublicKey) -> RatchetPair { row(peer).pair }

  mutating func set(_ peer: PublicKey, to pair: RatchetPair) { set(peer, to: RatchetRow(pair)) }

  /// Removes the row of a peer.
  mutating func remove(_ peer: PublicKey) { rows.removeAll { $0.peer == peer } }

  mutating func apply(_ request: StoreRequest) -> StoreAnswer {
    regress = nil
    switch request {
    case .lookUp(let first, let second):
      for fingerprint in [first, second] {
        for (peer, row) in rows {
          if let state = row.pair.state(fingerprint) { return .found(state, peer: peer) }
        }
      }
      return .unknown
    case .load(let peer):
      return row(peer).answer
    case .compareAndSwap(let peer, let expected, let new, let start):
      var row = row(peer)
      let held = row.pair
      guard row.swap(expected: expected, new: new, since: start) else { return .notSwapped }
      if new.state1.chainLength < held.state1.chainLength {
        regress = Regress(peer: peer, from: held.state1.chainLength, to: new.state1.chainLength)
      }
      set(peer, to: row)
      return .swapped
    case .revoke(let name, let peer):
      var row = row(peer)
      if row.revoke(name) { set(peer, to: row) }
      return row.answer
    }
  }

  private func row(_ peer: PublicKey) -> RatchetRow { rows.first { $0.peer == peer }?.row ?? RatchetRow() }

  private mutating func set(_ peer: PublicKey, to row: RatchetRow) {
    if let index = rows.firstIndex(where: { $0.peer == peer }) {
      rows[index].row = row
    } else {
      rows.append((peer, row))
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A peer's ratchet store, which outlives its crashes. Rows are kept in the order of their making.
struct SimulatedStore: Sendable {
  /// A pair that was replaced by one with a shorter chain.
  struct Regress: Sendable {
    let peer: PublicKey
    let from: UInt64
    let to: UInt64
  }

  private(set) var rows: [(peer: PublicKey, row: RatchetRow)] = []
  /// Set by the last swap if it made a chain shorter.
  private(set) var regress: Regress?

  func pair(_ peer: PublicKey) -> RatchetPair { row(peer).pair }

  mutating func set(_ peer: PublicKey, _ pair: RatchetPair) { set(peer, RatchetRow(pair)) }

  /// Forgets a peer.
  mutating func remove(_ peer: PublicKey) { rows.removeAll { $0.peer == peer } }

  mutating func apply(_ request: StoreRequest) -> StoreAnswer {
    regress = nil
    switch request {
    case .lookUp(let fingerprint):
      for (peer, row) in rows {
        for state in [row.pair.state1, row.pair.state2].compactMap(\.self) where state.fingerprint == fingerprint {
          return .found(state, peer: peer)
        }
      }
      return .unknown
    case .load(let peer):
      return .pair(pair(peer))
    case .compareAndSwap(let peer, let expected, let new):
      var row = row(peer)
      let held = row.pair
      guard row.swap(expected: expected, new: new) else { return .notSwapped }
      if new.state1.chainLength < held.state1.chainLength {
        regress = Regress(peer: peer, from: held.state1.chainLength, to: new.state1.chainLength)
      }
      set(peer, row)
      return .swapped
    case .giveUp(let name, let peer):
      var row = row(peer)
      if row.giveUp(name) { set(peer, row) }
      return .pair(row.pair)
    }
  }

  private func row(_ peer: PublicKey) -> RatchetRow { rows.first { $0.peer == peer }?.row ?? RatchetRow() }

  private mutating func set(_ peer: PublicKey, _ row: RatchetRow) {
    if let index = rows.firstIndex(where: { $0.peer == peer }) {
      rows[index].row = row
    } else {
      rows.append((peer, row))
    }
  }
}

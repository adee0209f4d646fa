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

  private(set) var rows: [(peer: PublicKey, pair: RatchetPair)] = []
  /// Set by the last swap if it made a chain shorter.
  private(set) var regress: Regress?

  func pair(_ peer: PublicKey) -> RatchetPair { rows.first { $0.peer == peer }?.pair ?? .empty }

  mutating func set(_ peer: PublicKey, _ pair: RatchetPair) {
    if let index = rows.firstIndex(where: { $0.peer == peer }) {
      rows[index].pair = pair
    } else {
      rows.append((peer, pair))
    }
  }

  /// Forgets a peer.
  mutating func remove(_ peer: PublicKey) { rows.removeAll { $0.peer == peer } }

  mutating func apply(_ request: StoreRequest) -> StoreAnswer {
    regress = nil
    switch request {
    case .lookUp(let fingerprint):
      for row in rows {
        if row.pair.state1.fingerprint == fingerprint { return .found(row.pair.state1, peer: row.peer) }
        if let older = row.pair.state2, older.fingerprint == fingerprint { return .found(older, peer: row.peer) }
      }
      return .unknown
    case .load(let peer):
      return .pair(pair(peer))
    case .compareAndSwap(let peer, let expected, let new):
      let held = pair(peer)
      guard held == expected else { return .notSwapped }
      if new.state1.chainLength < held.state1.chainLength {
        regress = Regress(peer: peer, from: held.state1.chainLength, to: new.state1.chainLength)
      }
      set(peer, new)
      return .swapped
    }
  }
}

extension StoreRequest {
  /// Whom the request is about; nil for a look-up.
  var peer: PublicKey? {
    switch self {
    case .lookUp: nil
    case .load(let peer), .compareAndSwap(let peer, _, _): peer
    }
  }
}

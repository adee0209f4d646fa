// SPDX-License-Identifier: Apache-2.0

/// A ratchet store in memory, which is lost when the process ends. Each request takes the same
/// time, however many peers there are.
public struct MemoryRatchetStore: Sendable {
  /// The row of each peer.
  public private(set) var rows: [PublicKey: RatchetRow]
  /// The peer of each state.
  private var owners: [Fingerprint: PublicKey] = [:]

  /// Creates a store that holds `rows`. Empty rows are left out.
  public init(rows: [PublicKey: RatchetRow]) {
    self.rows = rows.filter { !$0.value.isEmpty }
    for (peer, row) in self.rows { enter(row.pair, of: peer) }
  }

  /// Creates a store that holds `pairs`.
  public init(pairs: [PublicKey: RatchetPair] = [:]) {
    self.init(rows: pairs.mapValues { RatchetRow($0) })
  }

  /// The pair of each peer.
  public var pairs: [PublicKey: RatchetPair] { rows.mapValues(\.pair) }

  /// Answers a request immediately.
  public mutating func answer(_ request: StoreRequest) -> StoreAnswer {
    switch request {
    // [DEC-67] [RAT-3]
    case .lookUp(let first, let second):
      if case .found(let state, let peer) = lookUp(first) { return .found(state, peer: peer) }
      return lookUp(second)
    // [RAT-4]
    case .load(let peer):
      return (rows[peer] ?? RatchetRow()).answer
    // [RAT-5]
    case .compareAndSwap(let peer, let expected, let new, let start):
      var row = rows[peer] ?? RatchetRow()
      let old = row.pair
      guard row.swap(expected: expected, new: new, since: start) else { return .notSwapped }
      for state in [old.state1, old.state2].compactMap(\.self) { owners[state.fingerprint] = nil }
      enter(new, of: peer)
      rows[peer] = row.isEmpty ? nil : row
      return .swapped
    case .revoke(let name, let peer):
      guard var row = rows[peer] else { return RatchetRow().answer }
      if row.revoke(name) { rows[peer] = row }
      return row.answer
    }
  }

  private mutating func enter(_ pair: RatchetPair, of peer: PublicKey) {
    for state in [pair.state1, pair.state2].compactMap(\.self) where !state.isEmpty {
      owners[state.fingerprint] = peer
    }
  }

  private func lookUp(_ fingerprint: Fingerprint) -> StoreAnswer {
    guard let peer = owners[fingerprint], let state = rows[peer]?.pair.state(fingerprint) else { return .unknown }
    return .found(state, peer: peer)
  }
}

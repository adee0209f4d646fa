// SPDX-License-Identifier: Apache-2.0

/// Ratchet states in memory, gone when the process ends. Each request takes the same time, however many peers there are.
public struct MemoryRatchetStore: Sendable {
  /// What is kept for each peer.
  public private(set) var rows: [PublicKey: RatchetRow]
  /// Whose state it is.
  private var owners: [Fingerprint: PublicKey] = [:]

  /// A store that holds `rows` to begin with.
  public init(rows: [PublicKey: RatchetRow]) {
    self.rows = rows.filter { !$0.value.isEmpty }
    for (peer, row) in self.rows { enter(row.pair, of: peer) }
  }

  /// A store that holds `pairs` to begin with.
  public init(pairs: [PublicKey: RatchetPair] = [:]) {
    self.init(rows: pairs.mapValues { RatchetRow($0) })
  }

  /// What is stored for each peer.
  public var pairs: [PublicKey: RatchetPair] { rows.mapValues(\.pair) }

  /// Does what is asked, at once.
  public mutating func answer(_ request: StoreRequest) -> StoreAnswer {
    switch request {
    case .lookUp(let fingerprint):
      return lookUp(fingerprint)
    case .load(let peer):
      return .pair(rows[peer]?.pair ?? .empty)
    case .compareAndSwap(let peer, let expected, let new):
      var row = rows[peer] ?? RatchetRow()
      let old = row.pair
      guard row.swap(expected: expected, new: new) else { return .notSwapped }
      for state in [old.state1, old.state2].compactMap(\.self) { owners[state.fingerprint] = nil }
      enter(new, of: peer)
      rows[peer] = row.isEmpty ? nil : row
      return .swapped
    case .giveUp(let name, let peer):
      guard var row = rows[peer] else { return .pair(.empty) }
      if row.giveUp(name) { rows[peer] = row }
      return .pair(row.pair)
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

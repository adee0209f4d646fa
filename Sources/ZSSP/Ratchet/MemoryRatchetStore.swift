// SPDX-License-Identifier: Apache-2.0

/// Ratchet states in memory, gone when the process ends.
public struct MemoryRatchetStore: Sendable {
  /// What is stored for each peer.
  public private(set) var pairs: [PublicKey: RatchetPair]

  /// A store that holds `pairs` to begin with.
  public init(pairs: [PublicKey: RatchetPair] = [:]) { self.pairs = pairs }

  /// Does what is asked, at once.
  public mutating func answer(_ request: StoreRequest) -> StoreAnswer {
    switch request {
    case .lookUp(let fingerprint):
      return lookUp(fingerprint)
    case .load(let peer):
      return .pair(pairs[peer] ?? .empty)
    case .compareAndSwap(let peer, let expected, let new):
      guard pairs[peer] ?? .empty == expected else { return .notSwapped }
      // A peer that is forgotten leaves no row.
      pairs[peer] = new == .empty ? nil : new
      return .swapped
    }
  }

  private func lookUp(_ fingerprint: Fingerprint) -> StoreAnswer {
    guard !fingerprint.isEmpty else { return .unknown }
    for (peer, pair) in pairs {
      if pair.state1.fingerprint == fingerprint { return .found(pair.state1, peer: peer) }
      if let state2 = pair.state2, state2.fingerprint == fingerprint { return .found(state2, peer: peer) }
    }
    return .unknown
  }
}

// SPDX-License-Identifier: Apache-2.0

/// What an endpoint asks of the store of ratchet states (section 9).
///
/// Answers may come late, out of order, fail, or never come; the endpoint copes. Requests about one peer must take
/// effect in the order in which the endpoint made them.
public enum StoreRequest: Sendable {
  /// Which state has this fingerprint, and whose is it? Answer ``StoreAnswer/found(_:peer:)`` or ``StoreAnswer/unknown``.
  case lookUp(Fingerprint)
  /// What is stored for this peer? Answer ``StoreAnswer/pair(_:)``, ``RatchetPair/empty`` for a peer without a row.
  case load(peer: PublicKey)
  /// If what is stored for the peer equals `expected` (by fingerprints and chain lengths), replace it by `new`, durably,
  /// before the answer: ``StoreAnswer/swapped`` or ``StoreAnswer/notSwapped``.
  case compareAndSwap(peer: PublicKey, expected: RatchetPair, new: RatchetPair)
}

/// The answer to a ``StoreRequest``.
public enum StoreAnswer: Sendable {
  /// The state with the fingerprint asked for, and the peer that it is stored for.
  case found(RatchetState, peer: PublicKey)
  /// No state has this fingerprint.
  case unknown
  /// What is stored for the peer.
  case pair(RatchetPair)
  /// The new pair is stored, durably.
  case swapped
  /// Something else than expected was stored, and still is.
  case notSwapped
  /// The store could not do it. Nothing may be concluded about what it holds.
  case failed
}

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
      pairs[peer] = new
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

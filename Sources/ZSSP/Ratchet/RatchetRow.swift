// SPDX-License-Identifier: Apache-2.0

/// What a store keeps for one peer, and the rules by which it changes: for whoever writes a ``RatchetStore``.
///
/// A store reads a row, has it answer the request, and writes it back if it changed: all in one transaction. A peer whose
/// row ``isEmpty`` has none.
public struct RatchetRow: Sendable, Equatable {
  /// The states that are held.
  public private(set) var pair: RatchetPair
  /// Names of states that may not come into the row any more.
  public private(set) var revoked: RevokedStates

  /// A row of the given parts. With the empty pair no names are kept.
  public init(_ pair: RatchetPair = .empty, revoked: RevokedStates = RevokedStates()) {
    self.pair = pair
    self.revoked = pair == .empty ? RevokedStates() : revoked
  }

  /// Whether this is what a store keeps for a peer that it knows nothing of: nothing.
  public var isEmpty: Bool { pair == .empty }

  /// The answer to ``StoreRequest/load(peer:)``, and to ``StoreRequest/revoke(_:peer:)`` after it took effect.
  public var answer: StoreAnswer { .pair(pair, revision: revoked.revision) }

  /// Replaces the pair by `new` if it equals `expected`, unless that brings in a state that may have been revoked.
  ///
  /// - Parameters:
  ///   - start: the revision at which the attempt began that leads to `new`; nil if its outcome was unknown to the peer
  ///     until now, so that the peer cannot have revoked it.
  /// - Returns: whether it was replaced.
  public mutating func swap(expected: RatchetPair, new: RatchetPair, since start: UInt64? = nil) -> Bool {
    // [DEC-68] [RAT-5] [RAT-7]
    guard pair == expected, allows(new, since: start ?? revoked.revision) else { return false }
    self = RatchetRow(new, revoked: revoked)
    return true
  }

  /// Lets no swap bring in the state of this name any more, unless that is held already, or nothing is.
  ///
  /// - Returns: whether this changed the row.
  public mutating func revoke(_ name: Fingerprint) -> Bool {
    // [DEC-63]
    guard !isEmpty, pair.state(name) == nil else { return false }
    return revoked.insert(name)
  }

  private func allows(_ new: RatchetPair, since start: UInt64) -> Bool {
    [new.state1, new.state2].allSatisfy { state in
      guard let state, !state.isEmpty, !pair.contains(state) else { return true }
      // [DEC-69]
      return revoked.allows(state.fingerprint, since: start)
    }
  }
}

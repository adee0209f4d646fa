// SPDX-License-Identifier: Apache-2.0

/// The data that a store holds for one peer, and the rules by which it changes. It is meant for
/// implementations of ``RatchetStore``.
///
/// A store reads a row, calls the method for the request, and writes the row back if it changed:
/// all in one transaction. A row that ``isEmpty`` is not stored.
public struct RatchetRow: Sendable, Equatable {
  /// The ratchet states.
  public private(set) var pair: RatchetPair
  /// The names of the states that must not enter the row again.
  public private(set) var revoked: RevokedStates

  /// Creates a row. With the empty pair, no revoked names are kept.
  public init(_ pair: RatchetPair = .empty, revoked: RevokedStates = RevokedStates()) {
    self.pair = pair
    self.revoked = pair == .empty ? RevokedStates() : revoked
  }

  /// True if this is the row of an unknown peer, which a store need not keep.
  public var isEmpty: Bool { pair == .empty }

  /// The answer to ``StoreRequest/load(peer:)``, and to ``StoreRequest/revoke(_:peer:)`` after it
  /// took effect.
  public var answer: StoreAnswer { .pair(pair, revision: revoked.revision) }

  /// Replaces the pair by `new` if it equals `expected`, and `new` adds no state that may have been
  /// revoked.
  ///
  /// - Parameters:
  ///   - expected: the pair that the row must hold.
  ///   - new: the pair to store.
  ///   - start: the revision at which the attempt began that leads to `new`. Nil if the peer did
  ///     not know its outcome until now, so that the peer cannot have revoked it.
  /// - Returns: true if the pair was replaced.
  public mutating func swap(expected: RatchetPair, new: RatchetPair, since start: UInt64? = nil) -> Bool {
    // [DEC-68] [RAT-5] [RAT-7]
    guard pair == expected, allows(new, since: start ?? revoked.revision) else { return false }
    self = RatchetRow(new, revoked: revoked)
    return true
  }

  /// Prevents later swaps from adding the state of this name. Does nothing if the row holds that
  /// state or is empty.
  ///
  /// - Returns: true if the row changed.
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

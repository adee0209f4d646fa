// SPDX-License-Identifier: Apache-2.0

/// What a store keeps for one peer, and the rules by which it changes: for whoever writes a ``RatchetStore``.
///
/// A store reads a row, has it answer the request, and if that changed it writes it back: all in one transaction. There is no
/// row for a peer whose row is ``isEmpty``.
public struct RatchetRow: Sendable, Equatable {
  /// The states that are held.
  public private(set) var pair: RatchetPair
  /// Names of states that may not come into the row any more.
  public private(set) var givenUp: GivenUpStates

  /// A row of the given parts. With the empty pair no names are kept.
  public init(_ pair: RatchetPair = .empty, givenUp: GivenUpStates = GivenUpStates()) {
    self.pair = pair
    self.givenUp = pair == .empty ? GivenUpStates() : givenUp
  }

  /// Whether this is what a store keeps for a peer that it knows nothing of: nothing.
  public var isEmpty: Bool { pair == .empty }

  /// Replaces the pair by `new` if it equals `expected`, unless that brings in a state that was given up.
  ///
  /// - Returns: whether it was replaced.
  public mutating func swap(expected: RatchetPair, new: RatchetPair) -> Bool {
    guard pair == expected, !bringsInGivenUp(new) else { return false }
    self = RatchetRow(new, givenUp: givenUp)
    return true
  }

  /// From now on no swap may bring in the state of this name, unless that is held already, or nothing is.
  ///
  /// - Returns: whether this changed the row.
  public mutating func giveUp(_ name: Fingerprint) -> Bool {
    guard !isEmpty, pair.state(name) == nil else { return false }
    return givenUp.insert(name)
  }

  private func bringsInGivenUp(_ new: RatchetPair) -> Bool {
    [new.state1, new.state2].contains { state in
      guard let state else { return false }
      return givenUp.contains(state.fingerprint) && !pair.contains(state)
    }
  }
}

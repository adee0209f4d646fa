// SPDX-License-Identifier: Apache-2.0

extension RatchetPair {
  /// Returns the faults of a peer's pair as sentences, for the checks of stores. Empty if it has
  /// none.
  ///
  /// - Parameters:
  ///   - peer: the peer whose pair this is.
  ///   - owners: the peers of the states of all pairs that were checked before. This pair's states
  ///     are added, and a state of two peers is a fault.
  public func problems(of peer: PublicKey, _ owners: inout [Fingerprint: PublicKey]) -> [String] {
    var problems: [String] = []
    for state in [state1, state2].compactMap(\.self) {
      if state.isEmpty != (state.chainLength == 0) {
        problems.append("the row of \(peer) has a state with a chain length that it cannot have")
      }
      guard !state.isEmpty else { continue }
      if let other = owners.updateValue(peer, forKey: state.fingerprint) {
        problems.append("the rows of \(other) and \(peer) have a state in common")
      }
    }
    return problems
  }
}

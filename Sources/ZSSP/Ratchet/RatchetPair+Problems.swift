// SPDX-License-Identifier: Apache-2.0

extension RatchetPair {
  /// What cannot be right about the pair of a peer, for the checks of stores. `owners` are the peers of the states of the
  /// pairs that were looked at before, and this pair's are added: no state belongs to two. Empty if all is well.
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

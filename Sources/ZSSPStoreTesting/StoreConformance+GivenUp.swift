// SPDX-License-Identifier: Apache-2.0
import ZSSP

extension StoreConformance {
  /// States that a peer has given up.
  static let givenUpCases: [StoreConformance] = [
    StoreConformance("a state that was given up is not swapped in any more") { trial in
      let peer = Samples.peer(0)
      let (held, late) = (RatchetPair(Samples.state(1)), Samples.state(2))
      try await trial.swap(peer, .empty, held)
      for _ in 0..<2 { try await trial.giveUp(late, of: peer, holding: held) }
      try await trial.refuse(peer, held, RatchetPair(late), "to a state that was given up")
      try await trial.refuse(peer, held, RatchetPair(Samples.state(3), late), "to a second state that was given up")
      try await trial.expect(held, for: peer, "after refused swaps")
      try await trial.expectUnknown(late.fingerprint, "a state that was given up")
      // The state stays refused when the row has changed, and after the store was opened again.
      let next = RatchetPair(Samples.state(3), Samples.state(1))
      try await trial.swap(peer, held, next)
      if trial.medium.isDurable { try await trial.reopen() }
      try await trial.refuse(peer, next, RatchetPair(late), "to a state that was given up before the last swap")
      try await trial.expect(next, for: peer, "after a refused swap")
    },
    StoreConformance("a state that is held is not given up") { trial in
      let peer = Samples.peer(0)
      let (one, two) = (Samples.state(1), Samples.state(2))
      let both = RatchetPair(two, one)
      try await trial.swap(peer, .empty, both)
      for state in [one, two] { try await trial.giveUp(state, of: peer, holding: both) }
      try await trial.swap(peer, both, RatchetPair(Samples.state(3), two), "a swap that keeps a state that is held")
      try await trial.swap(peer, RatchetPair(Samples.state(3), two), RatchetPair(two))
      // It was not given up, so it may go and come back.
      try await trial.swap(
        peer, RatchetPair(two), RatchetPair(one), "a swap to a state that was held when it was named")
      try await trial.swap(peer, RatchetPair(one), both, "a swap to a state that was held when it was named")
    },
    StoreConformance("the latest names of each peer are remembered") { trial in
      let names = UInt64(GivenUpStates.limit)
      let held = RatchetPair(Samples.state(100))
      try await trial.swap(Samples.peer(0), .empty, held)
      for number in 0..<3 * names {
        try await trial.giveUp(Samples.state(number), of: Samples.peer(0), holding: held)
      }
      for number in 2 * names..<3 * names {
        try await trial.refuse(Samples.peer(0), held, RatchetPair(Samples.state(number)), "to one of the latest names")
      }
      // Another peer has nothing to do with it.
      try await trial.swap(Samples.peer(1), .empty, RatchetPair(Samples.state(3 * names - 1)))
    },
    StoreConformance("of a peer without a row nothing is remembered, and nothing of one that was forgotten") { trial in
      let (peer, pair) = (Samples.peer(0), RatchetPair(Samples.state(1)))
      try await trial.giveUp(pair.state1, of: peer, holding: .empty)
      try await trial.expect(.empty, for: peer, "after a peer without a row gave up a state")
      try await trial.swap(peer, .empty, pair, "the first swap of a peer")
      try await trial.giveUp(Samples.state(2), of: peer, holding: pair)
      try await trial.swap(peer, pair, .empty)
      try await trial.swap(peer, .empty, RatchetPair(Samples.state(2)), "the first swap of a peer that was forgotten")
    },
    StoreConformance("of a swap and the giving up of its state, at once, one comes first") { trial in
      for number in 0..<Samples.peerCount {
        let peer = Samples.peer(number)
        let first = UInt64(2 * number)
        let (held, late) = (RatchetPair(Samples.state(first)), Samples.state(first + 1))
        try await trial.swap(peer, .empty, held)
        async let swapped = trial.answer(.compareAndSwap(peer: peer, expected: held, new: RatchetPair(late)))
        async let answer = trial.answer(.giveUp(late.fingerprint, peer: peer))
        let (swap, gaveUp) = await (swapped, answer)
        switch (swap, gaveUp) {
        case (.swapped, .pair(RatchetPair(late))), (.notSwapped, .pair(held)): break
        default: throw Broken(reason: "the swap was answered \(swap.kind), and giving up does not fit to it")
        }
      }
    },
  ]
}

extension Trial {
  /// Gives up a state, and expects to be told what is held.
  nonisolated fileprivate func giveUp(_ state: RatchetState, of peer: PublicKey, holding pair: RatchetPair) async throws
  {
    let answer = await answer(.giveUp(state.fingerprint, peer: peer))
    guard case .pair(let held) = answer else { throw Broken(reason: "giving up was answered \(answer.kind)") }
    guard held == pair else { throw Broken(reason: "giving up was answered with another pair than the one held") }
  }
}

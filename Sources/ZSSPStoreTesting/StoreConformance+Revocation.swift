// SPDX-License-Identifier: Apache-2.0
import ZSSP

extension StoreConformance {
  /// Revoked states.
  static let revocationCases: [StoreConformance] = [
    // [DEC-68]
    StoreConformance("a state that was revoked is not swapped in any more") { trial in
      let peer = Samples.peer(0)
      let held = RatchetPair(Samples.state(1))
      let late = Samples.state(2)
      try await trial.swap(peer, from: .empty, to: held)
      for _ in 0..<2 { try await trial.revoke(late, of: peer, holding: held) }
      try await trial.refuse(peer, from: held, to: RatchetPair(late), what: "to a state that was revoked")
      try await trial.refuse(
        peer, from: held, to: RatchetPair(Samples.state(3), late), what: "to a second state that was revoked")
      try await trial.expect(held, for: peer, when: "after refused swaps")
      try await trial.expectUnknown(late.fingerprint, what: "a state that was revoked")
      // The state stays refused after the row changed, and after the store was opened again.
      let next = RatchetPair(Samples.state(3), Samples.state(1))
      try await trial.swap(peer, from: held, to: next)
      if trial.medium.isDurable { try await trial.reopen() }
      try await trial.refuse(
        peer, from: next, to: RatchetPair(late), what: "to a state that was revoked before the last swap")
      try await trial.expect(next, for: peer, when: "after a refused swap")
    },
    // [DEC-63]
    StoreConformance("a state that is held is not revoked") { trial in
      let peer = Samples.peer(0)
      let one = Samples.state(1)
      let two = Samples.state(2)
      let both = RatchetPair(two, one)
      try await trial.swap(peer, from: .empty, to: both)
      for state in [one, two] { try await trial.revoke(state, of: peer, holding: both) }
      try await trial.swap(
        peer, from: both, to: RatchetPair(Samples.state(3), two), what: "a swap that keeps a state that is held")
      try await trial.swap(peer, from: RatchetPair(Samples.state(3), two), to: RatchetPair(two))
      // It was not revoked, so a swap may remove it and add it again.
      try await trial.swap(
        peer, from: RatchetPair(two), to: RatchetPair(one), what: "a swap to a state that was held when it was named")
      try await trial.swap(
        peer, from: RatchetPair(one), to: both, what: "a swap to a state that was held when it was named")
    },
    // [DEC-69]
    StoreConformance("however many states are revoked, none of them comes in, nor does an attempt from before") {
      trial in
      let names = UInt64(RevokedStates.limit)
      let held = RatchetPair(Samples.state(1000))
      try await trial.swap(Samples.peer(0), from: .empty, to: held)
      var revisions: [UInt64] = [try await trial.revision(Samples.peer(0))]
      for number in 0..<3 * names {
        try await trial.revoke(Samples.state(number), of: Samples.peer(0), holding: held)
        revisions.append(try await trial.revision(Samples.peer(0)))
      }
      guard zip(revisions, revisions.dropFirst()).allSatisfy({ $0 < $1 }) else {
        throw Broken(reason: "a revocation did not raise the revision")
      }
      if trial.medium.isDurable { try await trial.reopen() }
      func attempt(_ number: UInt64, since start: UInt64) async -> StoreAnswer {
        await trial.answer(
          .compareAndSwap(
            peer: Samples.peer(0), expected: held, new: RatchetPair(Samples.state(number)), since: start))
      }
      // Each attempt began before its outcome was revoked.
      for number in 0..<3 * names {
        guard case .notSwapped = await attempt(number, since: revisions[Int(number)]) else {
          throw Broken(reason: "state \(number) of \(3 * names) that were revoked was swapped in")
        }
      }
      // This attempt leads to a state that was never revoked. Its name may be one that was dropped.
      guard case .notSwapped = await attempt(2000, since: revisions[Int(2 * names) - 1]) else {
        throw Broken(reason: "an attempt was let in that began before more revocations than are kept")
      }
      guard case .swapped = await attempt(2000, since: revisions[Int(2 * names)]) else {
        throw Broken(reason: "an attempt was refused that began before no more revocations than are kept")
      }
      // Another peer is not affected.
      try await trial.swap(Samples.peer(1), from: .empty, to: RatchetPair(Samples.state(3 * names - 1)))
    },
    // [DEC-67] [XK-11]
    StoreConformance("a look-up finds a peer by the first fingerprint, or by the second, also while its states change")
    { trial in
      let peer = Samples.peer(0)
      let states = (1...40).map { Samples.state($0) }
      try await trial.swap(peer, from: .empty, to: RatchetPair(states[1], states[0]))
      guard
        case .found(states[1], peer: peer) = await trial.answer(
          .lookUp(states[1].fingerprint, second: states[0].fingerprint)),
        case .found(states[0], peer: peer) = await trial.answer(
          .lookUp(states[2].fingerprint, second: states[0].fingerprint)),
        case .found(states[0], peer: peer) = await trial.answer(.lookUp(.empty, second: states[0].fingerprint)),
        case .unknown = await trial.answer(.lookUp(states[2].fingerprint, second: states[3].fingerprint))
      else { throw Broken(reason: "a look-up of two fingerprints has a wrong answer") }
      // (n, n - 1) becomes (n + 1, n): of the names n + 1 and n - 1, one is stored before and
      // after.
      for index in 1..<states.count - 1 {
        async let answer = trial.answer(
          .lookUp(states[index + 1].fingerprint, second: states[index - 1].fingerprint))
        try await trial.swap(
          peer, from: RatchetPair(states[index], states[index - 1]), to: RatchetPair(states[index + 1], states[index]))
        guard case .found(_, peer: peer) = await answer else {
          throw Broken(reason: "a peer whose states changed during a look-up was not found")
        }
      }
    },
    StoreConformance("of a peer without a row nothing is remembered, and nothing of one that was forgotten") { trial in
      let peer = Samples.peer(0)
      let pair = RatchetPair(Samples.state(1))
      try await trial.revoke(pair.state1, of: peer, holding: .empty)
      try await trial.expect(.empty, for: peer, when: "after a state of a peer without a row was revoked")
      try await trial.swap(peer, from: .empty, to: pair, what: "the first swap of a peer")
      try await trial.revoke(Samples.state(2), of: peer, holding: pair)
      try await trial.swap(peer, from: pair, to: .empty)
      try await trial.swap(
        peer, from: .empty, to: RatchetPair(Samples.state(2)), what: "the first swap of a peer that was forgotten")
    },
    StoreConformance("of a swap and the revocation of its state, at once, one comes first") { trial in
      for number in 0..<Samples.peerCount {
        let peer = Samples.peer(number)
        let first = UInt64(2 * number)
        let held = RatchetPair(Samples.state(first))
        let late = Samples.state(first + 1)
        try await trial.swap(peer, from: .empty, to: held)
        async let swapped = trial.answer(.compareAndSwap(peer: peer, expected: held, new: RatchetPair(late)))
        async let answer = trial.answer(.revoke(late.fingerprint, peer: peer))
        let swap = await swapped
        let revoked = await answer
        switch (swap, revoked) {
        case (.swapped, .pair(RatchetPair(late), _)), (.notSwapped, .pair(held, _)): break
        default:
          throw Broken(reason: "the swap was answered \(swap.kind), and the answer to the revocation does not fit")
        }
      }
    },
  ]
}

extension Trial {
  /// Returns the revision of a peer's row.
  nonisolated fileprivate func revision(_ peer: PublicKey) async throws -> UInt64 {
    guard case .pair(_, let revision) = await answer(.load(peer: peer)) else {
      throw Broken(reason: "a load was not answered with a pair")
    }
    return revision
  }

  /// Revokes a state, and expects the stored pair as the answer.
  nonisolated fileprivate func revoke(_ state: RatchetState, of peer: PublicKey, holding pair: RatchetPair) async throws
  {
    let answer = await answer(.revoke(state.fingerprint, peer: peer))
    guard case .pair(let held, _) = answer else { throw Broken(reason: "a revocation was answered \(answer.kind)") }
    guard held == pair else { throw Broken(reason: "a revocation was answered with another pair than the one held") }
  }
}

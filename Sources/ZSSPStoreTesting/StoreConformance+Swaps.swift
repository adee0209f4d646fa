// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPRandom

extension StoreConformance {
  /// Single swaps.
  static let swapCases: [StoreConformance] = [
    // [RAT-5]
    StoreConformance("a swap that expects something else changes nothing") { trial in
      let peer = Samples.peer(0)
      let new = RatchetPair(Samples.state(9))
      try await trial.refuse(
        peer, from: RatchetPair(Samples.state(1)), to: new, what: "that expects a row where there is none")
      try await trial.refuse(
        peer, from: RatchetPair(.empty, .empty), to: new, what: "that expects a second, empty state")
      try await trial.expect(.empty, for: peer, when: "after refused swaps of a missing row")
      let held = RatchetPair(Samples.state(2), Samples.state(1))
      try await trial.swap(peer, from: .empty, to: held)
      let wrong: [(RatchetPair, String)] = [
        (.empty, "that expects no row where there is one"),
        (RatchetPair(Samples.state(2)), "that expects no second state"),
        (RatchetPair(Samples.state(2), .empty), "that expects an empty second state"),
        (RatchetPair(Samples.state(1), Samples.state(2)), "that expects the two states in the other order"),
        (RatchetPair(Samples.state(3), Samples.state(1)), "that expects another first state"),
        (RatchetPair(Samples.state(2), Samples.state(3)), "that expects another second state"),
        (RatchetPair(Samples.state(2, chainLength: 7), Samples.state(1)), "that expects another chain length"),
        (RatchetPair(Samples.state(2), Samples.state(1, chainLength: 7)), "that expects another second chain length"),
      ]
      for (expected, what) in wrong {
        try await trial.refuse(peer, from: expected, to: new, what: what)
        try await trial.expect(held, for: peer, when: "after a swap \(what)")
        try await trial.expectUnknown(Samples.state(9).fingerprint, what: "what a refused swap would have stored")
      }
      try await trial.refuse(Samples.peer(1), from: held, to: new, what: "that expects the row of another peer")
    },
    // [RAT-7]
    StoreConformance("pairs are compared by fingerprint and chain length, never by key") { trial in
      let peer = Samples.peer(0)
      let held = Samples.state(1)
      let new = RatchetPair(Samples.state(2))
      try await trial.swap(peer, from: .empty, to: RatchetPair(held))
      let named = RatchetState(
        key: Samples.state(5).key, fingerprint: held.fingerprint, chainLength: held.chainLength)
      try await trial.swap(
        peer, from: RatchetPair(named), to: new, what: "a swap that names what is held and has another key")
      try await trial.expect(new, for: peer, when: "after it")
    },
    StoreConformance("a swap that was done cannot be done again") { trial in
      let peer = Samples.peer(0)
      let first = RatchetPair(Samples.state(1))
      let second = RatchetPair(Samples.state(2), Samples.state(1))
      try await trial.swap(peer, from: .empty, to: first)
      try await trial.swap(peer, from: first, to: second)
      try await trial.refuse(peer, from: first, to: second, what: "that was done before")
      try await trial.expect(second, for: peer, when: "after a repeated swap")
    },
    StoreConformance("a store does what a dictionary would") { trial in
      var random = SplitMix64(seed: 1)
      var model = MemoryRatchetStore()
      func state() -> RatchetState { Samples.state(.random(in: 1...6, using: &random), chainLength: 1) }
      func pair() -> RatchetPair {
        RatchetPair(
          Int.random(in: 0...9, using: &random) == 0 ? .empty : state(), Bool.random(using: &random) ? state() : nil)
      }
      for step in 0..<400 {
        let peer = Samples.peer(.random(in: 0..<3, using: &random))
        let held = model.pairs[peer] ?? .empty
        let expected = Int.random(in: 0...2, using: &random) > 0 ? held : pair()
        // A fingerprint belongs to one peer, as those of real states do.
        let new = pair().distinct(of: peer)
        let request =
          Int.random(in: 0...3, using: &random) == 0
          ? StoreRequest.revoke(new.state1.fingerprint, peer: peer)
          : .compareAndSwap(peer: peer, expected: expected, new: new)
        let found = await trial.answer(request)
        let wanted = model.answer(request)
        guard found.kind == wanted.kind else {
          throw Broken(reason: "step \(step): a request was answered \(found.kind) instead of \(wanted.kind)")
        }
        if step % 10 == 0 {
          for number in 0..<3 {
            let peer = Samples.peer(number)
            try await trial.expect(model.pairs[peer] ?? .empty, for: peer, when: "at step \(step)")
          }
        }
      }
    },
  ]
}

extension RatchetPair {
  /// Returns this pair with states that no other peer has.
  fileprivate func distinct(of peer: PublicKey) -> RatchetPair {
    func distinct(_ state: RatchetState) -> RatchetState {
      guard !state.isEmpty else { return state }
      let name = zip(state.fingerprint.bytes, peer.array.prefix(Fingerprint.size)).map { $0 ^ $1 }
      return RatchetState(key: state.key, fingerprint: Fingerprint(name.rawBytes), chainLength: state.chainLength)
    }
    return RatchetPair(distinct(state1), state2.map(distinct))
  }
}

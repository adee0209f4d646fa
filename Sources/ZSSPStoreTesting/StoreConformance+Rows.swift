// SPDX-License-Identifier: Apache-2.0
import ZSSP

extension StoreConformance {
  /// Loads and look-ups of present and missing rows.
  static let rowCases: [StoreConformance] = [
    // [RAT-2]
    StoreConformance("a peer without a row has the empty pair") { trial in
      for number in 0..<3 { try await trial.expect(.empty, for: Samples.peer(number), when: "in a new store") }
    },
    StoreConformance("a fingerprint that nobody has is unknown, and so is the empty one") { trial in
      try await trial.expectUnknown(Samples.state(1).fingerprint, what: "a fingerprint in a new store")
      try await trial.expectUnknown(.empty, what: "the empty fingerprint")
      try await trial.swap(Samples.peer(0), from: .empty, to: RatchetPair(Samples.state(1), .empty))
      try await trial.expectUnknown(.empty, what: "the empty fingerprint, while a pair holds the empty state")
      try await trial.expectUnknown(Samples.state(2).fingerprint, what: "a fingerprint beside one that is held")
    },
    // [RAT-3] [RAT-4]
    StoreConformance("what was stored is loaded and found, in both places") { trial in
      let peer = Samples.peer(0)
      let one = RatchetPair(Samples.state(1))
      try await trial.swap(peer, from: .empty, to: one)
      try await trial.expect(one, for: peer, when: "after the first swap")
      let two = RatchetPair(Samples.state(2), Samples.state(1))
      try await trial.swap(peer, from: one, to: two)
      try await trial.expect(two, for: peer, when: "after the second swap")
    },
    StoreConformance("each peer has a row of its own") { trial in
      for number in 0..<Samples.peerCount {
        let state = Samples.state(UInt64(number + 1))
        try await trial.swap(Samples.peer(number), from: .empty, to: RatchetPair(state))
      }
      for number in 0..<Samples.peerCount {
        let pair = RatchetPair(Samples.state(UInt64(number + 1)))
        try await trial.expect(pair, for: Samples.peer(number), when: "with \(Samples.peerCount) rows")
      }
    },
    StoreConformance("replaced states are no longer found, and those that moved are") { trial in
      let peer = Samples.peer(0)
      var held = RatchetPair.empty
      for number in UInt64(1)...5 {
        let next = RatchetPair(Samples.state(number), number > 1 ? Samples.state(number - 1) : nil)
        try await trial.swap(peer, from: held, to: next)
        try await trial.expect(next, for: peer, when: "after \(number) swaps")
        for older in 1..<number where older + 1 < number {
          try await trial.expectUnknown(Samples.state(older).fingerprint, what: "a state that was replaced")
        }
        held = next
      }
      let last = RatchetPair(Samples.state(5))
      try await trial.swap(peer, from: held, to: last)
      try await trial.expect(last, for: peer, when: "after the second state was dropped")
      try await trial.expectUnknown(Samples.state(4).fingerprint, what: "a second state that was dropped")
    },
    StoreConformance("the largest values are kept, and none and the empty state are told apart") { trial in
      let peer = Samples.peer(1)
      let ones = [UInt8](repeating: 0xff, count: 32)
      let largest = RatchetState(
        key: Secret(copying: ones.rawBytes), fingerprint: Fingerprint(ones.rawBytes), chainLength: .max)
      let pairs = [RatchetPair(largest), RatchetPair(largest, .empty), RatchetPair(.empty, largest)]
      var held = RatchetPair.empty
      for pair in pairs {
        try await trial.swap(peer, from: held, to: pair)
        try await trial.expect(pair, for: peer, when: "with the largest values")
        held = pair
      }
    },
    StoreConformance("a swap to the empty pair forgets the peer, who may come back") { trial in
      let peer = Samples.peer(2)
      let pair = RatchetPair(Samples.state(2), Samples.state(1))
      for _ in 0..<2 {
        try await trial.swap(peer, from: .empty, to: pair)
        try await trial.swap(peer, from: pair, to: .empty)
        try await trial.expect(.empty, for: peer, when: "after the peer was forgotten")
        for number in UInt64(1)...2 {
          try await trial.expectUnknown(Samples.state(number).fingerprint, what: "a state of a peer that was forgotten")
        }
      }
    },
  ]
}

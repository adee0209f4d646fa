// SPDX-License-Identifier: Apache-2.0
import ZSSP

extension StoreConformance {
  /// Concurrent requests.
  static let concurrencyCases: [StoreConformance] = [
    StoreConformance("of swaps that expect the same pair exactly one wins") { trial in
      let peer = Samples.peer(0)
      var held = RatchetPair.empty
      for round in UInt64(0)..<20 {
        let expected = held
        let candidates = (0..<8).map { RatchetPair(Samples.state(1 + round * 8 + $0)) }
        let winners = await withTaskGroup(of: RatchetPair?.self) { group in
          for new in candidates {
            group.addTask {
              guard case .swapped = await trial.answer(.compareAndSwap(peer: peer, expected: expected, new: new)) else {
                return nil
              }
              return new
            }
          }
          return await group.reduce(into: []) { winners, winner in winners += [winner].compactMap(\.self) }
        }
        guard let winner = winners.first, winners.count == 1 else {
          throw Broken(reason: "\(winners.count) of \(candidates.count) concurrent swaps were answered swapped")
        }
        try await trial.expect(winner, for: peer, when: "after concurrent swaps")
        for loser in candidates where loser != winner {
          try await trial.expectUnknown(loser.state1.fingerprint, what: "what a swap that lost would have stored")
        }
        held = winner
      }
    },
    StoreConformance("swaps of different peers all take place") { trial in
      let steps = UInt64(20)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<Samples.peerCount {
          group.addTask {
            var held = RatchetPair.empty
            for step in 1...steps {
              let new = RatchetPair(Samples.state(UInt64(number) * steps + step, chainLength: step), held.state1)
              try await trial.swap(
                Samples.peer(number), from: held, to: new, what: "a swap beside those of other peers")
              held = new
            }
            try await trial.expect(held, for: Samples.peer(number), when: "beside other peers")
          }
        }
        try await group.waitForAll()
      }
    },
    StoreConformance("a pair is seen whole, and never an older one after a newer") { trial in
      let peer = Samples.peer(0)
      let last = UInt64(200)
      try await trial.swap(peer, from: .empty, to: RatchetPair(Samples.state(1), Samples.state(0)))
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          for number in 1..<last {
            let expected = RatchetPair(Samples.state(number), Samples.state(number - 1))
            try await trial.swap(
              peer, from: expected, to: RatchetPair(Samples.state(number + 1), Samples.state(number)))
          }
        }
        for _ in 0..<2 {
          group.addTask {
            var seen = UInt64(0)
            while seen < last {
              let pair = try await trial.load(peer)
              let number = pair.state1.chainLength
              guard pair == RatchetPair(Samples.state(number), Samples.state(number &- 1)) else {
                throw Broken(reason: "a load gave the states of two different pairs")
              }
              guard number >= seen else { throw Broken(reason: "a load gave \(number) after \(seen)") }
              seen = number
              try Task.checkCancellation()
              // A store in memory answers immediately. Without this, two readers would take both
              // threads of a small machine from the writer.
              await Task.yield()
            }
          }
        }
        do {
          while try await group.next() != nil {}
        } catch {
          group.cancelAll()
          throw error
        }
      }
    },
    StoreConformance("who is told that a swap was done finds it done") { trial in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<4 {
          group.addTask {
            let peer = Samples.peer(number)
            var held = RatchetPair.empty
            for step in UInt64(1)...25 {
              let new = RatchetPair(Samples.state(UInt64(number) * 100 + step))
              try await trial.swap(peer, from: held, to: new)
              try await trial.expect(new, for: peer, when: "at once after the swap")
              if !held.state1.isEmpty {
                try await trial.expectUnknown(held.state1.fingerprint, what: "a state that was just replaced")
              }
              held = new
            }
          }
        }
        try await group.waitForAll()
      }
    },
  ]
}

// SPDX-License-Identifier: Apache-2.0
import Testing

@Suite("The checker of histories")
struct HistoryTests {
  private func history(_ operations: (History.Operation.Kind, Int, Int)...) -> History {
    var history = History()
    for (kind, began, ended) in operations { history.add(kind, began, ended) }
    return history
  }

  @Test func goodHistoriesPass() {
    #expect(history().isLinearizable())
    #expect(
      history(
        (.swap(from: 0, to: 1, isDone: true), 0, 1), (.load(1), 2, 3), (.swap(from: 0, to: 2, isDone: false), 4, 5)
      ).isLinearizable())
    // A load that overlaps a swap may see either.
    #expect(history((.swap(from: 0, to: 1, isDone: true), 0, 10), (.load(0), 3, 4), (.load(1), 5, 6)).isLinearizable())
    // What got no answer was done before, or later, or never.
    let unknown = (History.Operation.Kind.swap(from: 0, to: 1, isDone: nil), 0, 1)
    #expect(history(unknown, (.load(1), 2, 3)).isLinearizable())
    #expect(history(unknown, (.load(0), 2, 3)).isLinearizable())
    #expect(history(unknown, (.load(0), 2, 3), (.load(1), 4, 5)).isLinearizable())
    #expect(history(unknown, (.swap(from: 0, to: 2, isDone: true), 2, 3), (.load(2), 4, 5)).isLinearizable())
  }

  @Test func twoWinnersAreNoticed() {
    #expect(
      !history((.swap(from: 0, to: 1, isDone: true), 0, 10), (.swap(from: 0, to: 2, isDone: true), 1, 9))
        .isLinearizable())
  }

  @Test func wrongAnswersAreNoticed() {
    // A swap that was answered "done" and was not, or "not done" and was.
    #expect(!history((.swap(from: 0, to: 1, isDone: true), 0, 1), (.load(0), 2, 3)).isLinearizable())
    #expect(!history((.swap(from: 0, to: 1, isDone: false), 0, 1), (.load(1), 2, 3)).isLinearizable())
    // Nothing else was held that the swap could have lost against.
    #expect(!history((.swap(from: 0, to: 1, isDone: false), 0, 1)).isLinearizable())
    // What got no answer cannot be done and then not.
    #expect(
      !history((.swap(from: 0, to: 1, isDone: nil), 0, 1), (.load(1), 2, 3), (.load(0), 4, 5)).isLinearizable())
  }

  @Test func wrongLookUpsAreNoticed() {
    let swap = (History.Operation.Kind.swap(from: 0, to: 1, isDone: true), 0, 1)
    #expect(history(swap, (.lookUp(1, isFound: true), 2, 3), (.lookUp(2, isFound: false), 4, 5)).isLinearizable())
    #expect(!history(swap, (.lookUp(1, isFound: false), 2, 3)).isLinearizable())
    #expect(!history(swap, (.lookUp(2, isFound: true), 2, 3)).isLinearizable())
  }

  @Test func staleReadsAreNoticed() {
    #expect(
      !history(
        (.swap(from: 0, to: 1, isDone: true), 0, 1), (.swap(from: 1, to: 2, isDone: true), 2, 3), (.load(1), 4, 5)
      ).isLinearizable())
    #expect(!history((.load(1), 0, 1), (.swap(from: 0, to: 1, isDone: true), 2, 3)).isLinearizable())
  }

  /// Histories of a register that is one are good; with a single answer changed to what it cannot
  /// have been, bad.
  @Test(arguments: UInt64(0)..<50)
  func madeHistories(seed: UInt64) {
    var random = Dice(seed: seed)
    var value = 0
    var last = 0
    var moment = 0
    var history = History()
    var spoiled = History()
    let spoiledOne = Int.random(in: 20..<60, using: &random)
    for index in 0..<60 {
      moment += .random(in: 1...3, using: &random)
      // Each happens at `moment`, and overlaps others.
      let began = moment * 10 - .random(in: 0...40, using: &random)
      let ended = moment * 10 + .random(in: 0...40, using: &random)
      let kind: History.Operation.Kind
      if Bool.random(using: &random) {
        kind = .load(value)
      } else {
        last += 1
        let from = Bool.random(using: &random) ? value : max(0, last - 2)
        let isDone = from == value
        kind = .swap(from: from, to: last, isDone: Int.random(in: 0...4, using: &random) == 0 ? nil : isDone)
        if isDone { value = last }
      }
      history.add(kind, began, ended)
      spoiled.add(index == spoiledOne ? .load(1_000_000) : kind, began, ended)
    }
    #expect(history.isLinearizable())
    #expect(!spoiled.isLinearizable())
  }
}

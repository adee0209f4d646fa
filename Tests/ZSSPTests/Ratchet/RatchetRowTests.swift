// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ZSSP

@Suite("What a store keeps for a peer (sections 9 and 14)")
struct RatchetRowTests {
  private func state(_ number: UInt8, chainLength: UInt64 = 1) -> RatchetState {
    let bytes = [UInt8](repeating: number, count: 32)
    return RatchetState(
      key: Secret(copying: bytes.rawBytes), fingerprint: Fingerprint(bytes.rawBytes), chainLength: chainLength)
  }

  @Test func namesAreKeptInOrderAndTheOldestGoFirst() {
    var names = GivenUpStates()
    #expect(names.isEmpty)
    names.insert(.empty)
    #expect(names.isEmpty, "the empty state is never given up")
    let given = (1...UInt8(GivenUpStates.limit)).map { state($0).fingerprint }
    let areNew = (given + given).map { names.insert($0) }
    #expect(areNew == given.map { _ in true } + given.map { _ in false })
    names.insert(state(100).fingerprint)
    #expect(names.names == given.dropFirst() + [state(100).fingerprint])
    #expect(!names.contains(given[0]) && names.contains(given[1]))
    #expect(GivenUpStates(names.names) == names)
  }

  /// What becomes of a row that holds `pair` and has given up `names`, when `expected` is swapped for `new`.
  private func swapped(
    _ pair: RatchetPair, givenUp names: [RatchetState], _ expected: RatchetPair, _ new: RatchetPair
  ) -> RatchetRow? {
    var row = RatchetRow(pair, givenUp: GivenUpStates(names.map(\.fingerprint)))
    return row.swap(expected: expected, new: new) ? row : nil
  }

  @Test func aStateThatWasGivenUpDoesNotComeIn() {
    let held = RatchetPair(state(1))
    for new in [RatchetPair(state(2)), RatchetPair(state(3), state(2)), RatchetPair(state(2, chainLength: 9))] {
      #expect(swapped(held, givenUp: [state(2)], held, new) == nil)
    }
    let next = RatchetPair(state(3), state(1))
    #expect(
      swapped(held, givenUp: [state(2)], held, next) == RatchetRow(next, givenUp: GivenUpStates([state(2).fingerprint]))
    )
  }

  @Test func aStateThatIsHeldStays() {
    var row = RatchetRow(RatchetPair(state(2), state(1)))
    let isGivenUp = [1, 2, 3, 3].map { row.giveUp(state($0).fingerprint) }
    #expect(isGivenUp == [false, false, true, false])
    #expect(row.givenUp.names == [state(3).fingerprint])
    // As a store might have it that was written by others.
    #expect(swapped(row.pair, givenUp: [state(1)], row.pair, RatchetPair(state(1))) != nil)
  }

  @Test func ofAPeerThatIsForgottenNothingIsLeft() {
    var row = RatchetRow()
    let isGivenUp = row.giveUp(state(1).fingerprint)
    #expect(!isGivenUp && row.isEmpty)
    let pair = RatchetPair(state(1))
    #expect(swapped(pair, givenUp: [state(2)], pair, .empty) == RatchetRow())
    #expect(RatchetRow(.empty, givenUp: GivenUpStates([state(1).fingerprint])) == RatchetRow())
  }
}

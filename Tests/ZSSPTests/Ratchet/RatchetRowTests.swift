// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("What a store keeps for a peer (sections 9 and 14)", .tags(.fast))
struct RatchetRowTests {
  private func state(_ number: UInt8, chainLength: UInt64 = 1) -> RatchetState {
    let bytes = [UInt8](repeating: number, count: 32)
    return RatchetState(
      key: Secret(copying: bytes.rawBytes), fingerprint: Fingerprint(bytes.rawBytes), chainLength: chainLength)
  }

  private func name(_ number: Int) -> Fingerprint {
    Fingerprint(([UInt8](repeating: 0, count: 30) + [UInt8(number >> 8), UInt8(number & 0xFF)]).rawBytes)
  }

  // [DEC-69]
  @Test func namesAreKeptInOrderAndEveryRevocationCounts() {
    var names = RevokedStates()
    #expect(names.isEmpty)
    names.insert(.empty)
    #expect(names.isEmpty, "the empty state is never revoked")
    let given = (1...RevokedStates.limit).map { name($0) }
    let areNew = (given + given).map { names.insert($0) }
    #expect(areNew == given.map { _ in true } + given.map { _ in false })
    #expect(names.revision == UInt64(RevokedStates.limit))
    names.insert(name(1000))
    #expect(names.names == given.dropFirst() + [name(1000)])
    #expect(names.revision == UInt64(RevokedStates.limit) + 1)
    #expect(RevokedStates(names.names, revision: names.revision) == names)
    #expect(RevokedStates(names.names).revision == UInt64(RevokedStates.limit), "never less than there are names")
  }

  // [DEC-69]
  /// An attempt may lead to a state that was not revoked, unless its name may be one that was
  /// dropped.
  @Test(arguments: [
    // (number of revocations, the attempt's beginning, the state it leads to, whether it may)
    (0, 0, 2000, true), (1, 0, 2000, true), (1, 1, 2000, true), (1, 2, 2000, false), (1, 0, 1, false),
    (1, 1, 1, false), (256, 0, 2000, true), (256, 0, 1, false), (257, 0, 2000, false), (257, 1, 2000, true),
    (257, 0, 1, false), (257, 1, 2, false), (257, 257, 257, false), (1000, 743, 2000, false),
    (1000, 744, 2000, true), (1000, 1000, 2000, true),
  ])
  func anAttemptMayNotLeadToAStateThatMayHaveBeenRevoked(
    revocations: Int, start: UInt64, outcome: Int, isAllowed: Bool
  ) {
    let list = RevokedStates((0..<revocations).map { name($0 + 1) }, revision: UInt64(revocations))
    #expect(list.allows(name(outcome), since: start) == isAllowed)
    let held = RatchetPair(state(250))
    var row = RatchetRow(held, revoked: list)
    let new = RatchetState(key: .zeros(32), fingerprint: name(outcome), chainLength: 1)
    let isSwapped = row.swap(expected: held, new: RatchetPair(new), since: start)
    #expect(isSwapped == isAllowed)
  }

  @Test func anOutcomeThatIsNewMayComeInWhateverWasRevoked() {
    let held = RatchetPair(state(250))
    var row = RatchetRow(held, revoked: RevokedStates([state(1).fingerprint], revision: 1_000_000))
    let isSwapped = row.swap(expected: held, new: RatchetPair(state(2)))
    #expect(isSwapped)
  }

  /// Returns the result of swapping `expected` for `new` in a row that holds `pair` and has `names`
  /// revoked.
  private func swapped(
    _ pair: RatchetPair, revoked names: [RatchetState], from expected: RatchetPair, to new: RatchetPair
  ) -> RatchetRow? {
    var row = RatchetRow(pair, revoked: RevokedStates(names.map(\.fingerprint)))
    return row.swap(expected: expected, new: new) ? row : nil
  }

  // [DEC-68]
  @Test func aStateThatWasRevokedDoesNotComeIn() {
    let held = RatchetPair(state(1))
    for new in [RatchetPair(state(2)), RatchetPair(state(3), state(2)), RatchetPair(state(2, chainLength: 9))] {
      #expect(swapped(held, revoked: [state(2)], from: held, to: new) == nil)
    }
    let next = RatchetPair(state(3), state(1))
    #expect(
      swapped(held, revoked: [state(2)], from: held, to: next)
        == RatchetRow(next, revoked: RevokedStates([state(2).fingerprint]))
    )
  }

  // [DEC-63]
  @Test func aStateThatIsHeldStays() {
    var row = RatchetRow(RatchetPair(state(2), state(1)))
    let isRevoked = [1, 2, 3, 3].map { row.revoke(state($0).fingerprint) }
    #expect(isRevoked == [false, false, true, false])
    #expect(row.revoked.names == [state(3).fingerprint])
    // As a store might have it that was written by others.
    #expect(swapped(row.pair, revoked: [state(1)], from: row.pair, to: RatchetPair(state(1))) != nil)
  }

  @Test func ofAPeerThatIsForgottenNothingIsLeft() {
    var row = RatchetRow()
    let isRevoked = row.revoke(state(1).fingerprint)
    #expect(!isRevoked && row.isEmpty)
    let pair = RatchetPair(state(1))
    #expect(swapped(pair, revoked: [state(2)], from: pair, to: .empty) == RatchetRow())
    #expect(RatchetRow(.empty, revoked: RevokedStates([state(1).fingerprint])) == RatchetRow())
  }
}

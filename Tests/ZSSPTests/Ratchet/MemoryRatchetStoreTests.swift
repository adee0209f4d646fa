// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("The store of ratchet states in memory (section 9)", .tags(.fast))
struct MemoryRatchetStoreTests {
  private func peer(_ number: UInt8) throws -> PublicKey {
    try #require(PublicKey([2] + [UInt8](repeating: number, count: 48)))
  }

  // [RAT-2] [RAT-4]
  @Test("a peer without a row has the empty pair")
  func load() throws {
    var store = MemoryRatchetStore(pairs: [try peer(1): RatchetPair(state(1), state(2))])
    #expect(store.answer(.load(peer: try peer(1))).pair == RatchetPair(state(1), state(2)))
    #expect(store.answer(.load(peer: try peer(2))).pair == .empty)
    #expect(store.pairs.count == 1)
  }

  // [RAT-3]
  @Test("both states of every peer are found by fingerprint, with the peer")
  func lookUp() throws {
    var store = MemoryRatchetStore(pairs: [
      try peer(1): RatchetPair(state(1, chainLength: 5), state(2, chainLength: 4)),
      try peer(2): RatchetPair(state(3)),
      try peer(3): RatchetPair(state(4), .empty),
    ])
    for (number, owner, chainLength) in [(1, 1, 5), (2, 1, 4), (3, 2, 1), (4, 3, 1)] as [(UInt8, UInt8, UInt64)] {
      guard case .found(let found, let peer) = store.answer(.lookUp(state(number).fingerprint)) else {
        Issue.record("state \(number) is unknown")
        continue
      }
      #expect(found == state(number, chainLength: chainLength))
      #expect(found.key == state(number).key)
      #expect(try peer == self.peer(owner))
    }
    #expect(store.answer(.lookUp(state(9).fingerprint)).isUnknown)
  }

  @Test("nobody is found by the empty fingerprint")
  func lookUpEmpty() throws {
    var store = MemoryRatchetStore(pairs: [try peer(1): .empty, try peer(2): RatchetPair(state(1), .empty)])
    #expect(store.answer(.lookUp(.empty)).isUnknown)
  }

  // [RAT-5] [RAT-7]
  @Test("a swap happens if what is stored is what was expected")
  func swap() throws {
    var store = MemoryRatchetStore()
    let peer = try peer(1)
    func swap(_ expected: RatchetPair, to new: RatchetPair) -> Bool? {
      store.answer(.compareAndSwap(peer: peer, expected: expected, new: new)).swapped
    }
    // Initially (empty, none).
    #expect(swap(RatchetPair(.empty, .empty), to: RatchetPair(state(9))) == false)
    #expect(store.pairs.isEmpty)
    #expect(swap(.empty, to: RatchetPair(state(1), .empty)) == true)
    #expect(swap(.empty, to: RatchetPair(state(9))) == false)
    #expect(swap(RatchetPair(state(1)), to: RatchetPair(state(9))) == false)
    #expect(swap(RatchetPair(state(1), .empty), to: RatchetPair(state(1))) == true)
    // Another chain length is another state, another key is not.
    #expect(swap(RatchetPair(state(1, chainLength: 2)), to: RatchetPair(state(9))) == false)
    #expect(swap(RatchetPair(state(1, key: 77)), to: RatchetPair(state(2), state(1))) == true)
    #expect(store.pairs == [peer: RatchetPair(state(2), state(1))])
    #expect(store.pairs[peer]?.state1.key.hex == state(2).key.hex)
  }

  @Test("a swap for one peer leaves the others alone")
  func others() throws {
    var store = MemoryRatchetStore(pairs: [try peer(2): RatchetPair(state(2))])
    #expect(
      store.answer(.compareAndSwap(peer: try peer(1), expected: .empty, new: RatchetPair(state(1)))).swapped == true)
    #expect(store.pairs == [try peer(1): RatchetPair(state(1)), try peer(2): RatchetPair(state(2))])
  }
}

extension StoreAnswer {
  fileprivate var pair: RatchetPair? { if case .pair(let pair, _) = self { pair } else { nil } }
  fileprivate var isUnknown: Bool { if case .unknown = self { true } else { false } }
  fileprivate var swapped: Bool? {
    switch self {
    case .swapped: true
    case .notSwapped: false
    default: nil
    }
  }
}

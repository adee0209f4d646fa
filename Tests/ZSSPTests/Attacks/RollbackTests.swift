// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto

/// One peer's store goes back to what it was: an old backup, a copied virtual machine.
@Suite("Attack: rollback of one peer's store", .tags(.fast), .serialized)
struct RollbackTests {
  private let provider = SwiftCryptoProvider()

  /// A pair that had two sessions, closed again, and the stores as they were after the first.
  private func pairWithAPast(_ flags: SecurityFlags) throws -> (
    pair: Pair, alice: MemoryRatchetStore, bob: MemoryRatchetStore
  ) {
    let pair = try Pair.of(flags, provider: provider)
    var stores: [(MemoryRatchetStore, MemoryRatchetStore)] = []
    for _ in 0..<3 {
      let (one, other) = try pair.establish()
      pair.alice.close(one)
      pair.bob.close(other)
      stores.append((pair.alice.store, pair.bob.store))
    }
    try pair.alice.restart()
    try pair.bob.restart()
    return (pair, stores[0].0, stores[0].1)
  }

  private func chain(_ store: MemoryRatchetStore, of peer: PublicKey) -> UInt64? {
    store.pairs[peer]?.state1.chainLength
  }

  @Test("persistent: no session, no downgrade, until the store is as it was", arguments: [false, true])
  func persistent(ofAlice: Bool) throws {
    let (pair, alice, bob) = try pairWithAPast(.persistent)
    let right = (pair.alice.store, pair.bob.store)
    if ofAlice { pair.alice.store = alice } else { pair.bob.store = bob }
    let rolledBack = (pair.alice.store.pairs, pair.bob.store.pairs)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.run(for: .seconds(60))
    #expect(pair.alice.state(session) == "A1" && pair.bob.sessionCount == 0)
    #expect(pair.bob.statistics.datagramsSent == 0 && pair.bob.statistics[.unknownRatchet] > 0)
    #expect(pair.alice.downgrades + pair.bob.downgrades == 0)
    #expect(pair.alice.store.pairs == rolledBack.0 && pair.bob.store.pairs == rolledBack.1)
    (pair.alice.store, pair.bob.store) = right
    pair.run(for: .seconds(12))
    #expect(pair.alice.state(session) == "S2")
    try pair.expectWorking()
  }

  // [MODE-6] [XK-20] [XK-30]
  @Test("opportunistic: a new chain, and both are told", arguments: [false, true])
  func opportunistic(ofAlice: Bool) throws {
    let (pair, alice, bob) = try pairWithAPast(.opportunistic)
    #expect(chain(pair.alice.store, of: pair.bob.publicKey) == 3)
    if ofAlice { pair.alice.store = alice } else { pair.bob.store = bob }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.run(for: .seconds(3))
    #expect(pair.alice.state(session) == "S2" && pair.alice.chainLength(session) == 1)
    #expect(pair.alice.downgrades == 1 && pair.bob.downgrades == 1)
    for (peer, held) in [(pair.alice, ofAlice ? 1 : 3), (pair.bob, ofAlice ? 3 : 1)] as [(TestPeer, UInt64)] {
      let reported = peer.events.compactMap { event -> UInt64? in
        if case .downgraded(_, _, let length) = event { length } else { nil }
      }
      let established = peer.events.compactMap { event -> UInt64? in
        if case .established(_, let info) = event { info.downgradedFrom } else { nil }
      }
      #expect(reported == [held] && established == [held])
    }
    #expect(pair.alice.store.pairs[pair.bob.publicKey] == pair.bob.store.pairs[pair.alice.publicKey])
    // The next session goes on from the new chain, and is nothing to report.
    pair.alice.close(session)
    try pair.alice.restart()
    try pair.bob.restart()
    let (one, _) = try pair.establish()
    #expect(pair.alice.chainLength(one) == 2)
    for peer in [pair.alice, pair.bob] {
      #expect(!peer.events.contains { if case .downgraded = $0 { true } else { false } })
    }
  }

  @Test(
    "opportunistic: a store that is gone altogether is reported by the side that still knows the other",
    arguments: [false, true])
  func opportunisticLoss(ofAlice: Bool) throws {
    let (pair, _, _) = try pairWithAPast(.opportunistic)
    if ofAlice { pair.alice.store = .init() } else { pair.bob.store = .init() }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.run(for: .seconds(3))
    #expect(pair.alice.state(session) == "S2" && pair.alice.chainLength(session) == 1)
    #expect(pair.alice.downgrades == (ofAlice ? 0 : 1) && pair.bob.downgrades == (ofAlice ? 1 : 0))
  }

  // [RAT-8] [TIME-7] [TIME-8]
  /// The rollback of a store under a session shows when the next swap compares (section 9).
  @Test(
    "under a session it is found at the re-key", arguments: [SecurityFlags.persistent, .opportunistic], [false, true])
  func underASession(flags: SecurityFlags, ofAlice: Bool) throws {
    let (pair, alice, bob) = try pairWithAPast(flags)
    let (one, other) = try pair.establish()
    if ofAlice { pair.alice.store = alice } else { pair.bob.store = bob }
    let rolledBack = ofAlice ? alice.pairs : bob.pairs
    try pair.expectData(one, other)
    #expect(pair.bob.rekey(other, at: pair.now))
    pair.settle()
    let (victim, other1) = ofAlice ? (pair.alice, pair.bob) : (pair.bob, pair.alice)
    #expect(victim.endReasons == [.ratchetConflict] && victim.statistics[.ratchetConflict] == 1)
    #expect(victim.store.pairs == rolledBack, "the swap took no effect")
    pair.run(for: .seconds(61))
    #expect(other1.endReasons == [.rekeyTimeout] && pair.alice.downgrades + pair.bob.downgrades == 0)
    // A new session, or none.
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.run(for: .seconds(30))
    if flags == .persistent {
      #expect(pair.alice.state(session) == "A1" && pair.bob.sessionCount == 0)
      #expect(pair.alice.downgrades + pair.bob.downgrades == 0)
    } else {
      #expect(pair.alice.state(session) == "S2" && pair.alice.downgrades == 1 && pair.bob.downgrades == 1)
    }
  }

  // [XK-11] [XK-19] [XK-25]
  /// Alice holds two states between X2 and C1, so one step back is not too far.
  @Test("persistent: Bob one step back while Alice waits for C1")
  func oneStepBack() throws {
    let pair = try Pair.persistent(provider)
    let before = pair.bob.store
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = pair.round(pair.round(pair.round(pair.intercept())))
    #expect(pair.alice.state(session) == "A3" && pair.bob.sessionCount == 1)
    try pair.bob.restart()
    pair.bob.store = before
    pair.run(for: .seconds(25))
    #expect(pair.alice.state(session) == "S2")
    try pair.expectWorking()
  }
}

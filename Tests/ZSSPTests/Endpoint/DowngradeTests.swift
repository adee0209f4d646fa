// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

/// The treatment of a peer that lost its ratchet, under each of the flags (sections 6 and 10).
@Suite("Downgrades and the flags", .tags(.fast))
struct DowngradeTests {
  /// A pair that has met, and of which one side has lost its store since.
  private func strangers(aliceLost: Bool, flags: SecurityFlags) throws -> Pair {
    let pair = try Pair(provider: FastCrypto(seed: 1))
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    for peer in [pair.alice, pair.bob] { try peer.restart() }
    if aliceLost { pair.alice.store = MemoryRatchetStore() } else { pair.bob.store = MemoryRatchetStore() }
    pair.bob.decide = { _ in .accept(flags) }
    return pair
  }

  // [MODE-6] [XK-30]
  @Test func theResponderReportsAPeerWithoutItsRatchet() throws {
    let pair = try strangers(aliceLost: true, flags: .opportunistic)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "S2")
    #expect(pair.bob.downgrades == 1 && pair.alice.downgrades == 0)
  }

  // [MODE-6] [XK-20]
  @Test func theInitiatorReportsAPeerWithoutItsRatchet() throws {
    let pair = try strangers(aliceLost: false, flags: .opportunistic)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "S2")
    #expect(pair.alice.downgrades == 1 && pair.bob.downgrades == 0)
  }

  enum Fate: CaseIterable {
    /// The answer to the swap never comes, and the handshake expires.
    case never
    /// The store says that it failed, and the peer's X3 comes again.
    case failed
    /// The store says that it failed, and nothing comes again.
    case failedForGood
  }

  // [DEC-73]
  /// The store holds the new ratchet, and later handshakes use it. Without this report no later one
  /// would tell the application that the ratchet was restarted.
  @Test("a downgrade that took effect is reported once, whatever becomes of the answer", arguments: Fate.allCases)
  func downgradeWithoutAnAnswer(_ fate: Fate) throws {
    let pair = try strangers(aliceLost: true, flags: .opportunistic)
    var swaps = 0
    pair.bob.answerStore = { [bob = pair.bob] request in
      let answer = bob.store.answer(request)
      guard case .compareAndSwap = request else { return answer }
      swaps += 1
      guard swaps == 1 else { return answer }
      return fate == .never ? nil : .failed
    }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(swaps == 1 && pair.bob.downgrades == 0)
    if fate != .failed { pair.alice.close(session) }
    // An answer that does not come is waited for as long as a re-key takes at most.
    pair.run(for: .seconds(75))
    #expect(pair.bob.downgrades == 1)
    #expect((pair.alice.state(session) == "S2") == (fate == .failed))
    #expect(pair.bob.sessionCount == (fate == .failed ? 1 : 0))
  }

  // [MODE-2] [MODE-7] [XK-21]
  @Test func theInitiatorRefusesUnderFlag2() throws {
    let pair = try strangers(aliceLost: false, flags: .opportunistic)
    let session = try pair.alice.open(to: pair.bob, flags: .initiatorDisallowsDowngrade, at: pair.now)
    pair.run(for: .seconds(5))
    #expect(pair.alice.state(session) == "A1" && pair.alice.downgrades == 0)
    #expect(pair.alice.statistics[.notAuthentic] > 0)
  }

  // [MODE-3] [MODE-4] [XK-29] [XK-33]
  @Test("The responder refuses under π3, and says so unless under π4", arguments: [false, true])
  func theResponderRefuses(silently: Bool) throws {
    var flags: SecurityFlags = .responderDisallowsDowngrade
    if silently { flags.insert(.responderRejectsSilently) }
    let pair = try strangers(aliceLost: true, flags: flags)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.bob.statistics[.refused] == 1 && pair.bob.establishedSession == nil && pair.bob.downgrades == 0)
    #expect(pair.alice.endReasons == (silently ? [] : [.rejected]))
    #expect(pair.alice.state(session) == (silently ? "A3" : nil))
  }

  // [CTRL-5] [MODE-4] [XK-33]
  @Test("The application's own refusal is told or not", arguments: [false, true])
  func theApplicationRefuses(silently: Bool) throws {
    let pair = try Pair(provider: FastCrypto(seed: 1))
    pair.bob.decide = { _ in .reject(silently: silently) }
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.endReasons == (silently ? [] : [.rejected]))
    #expect(pair.bob.statistics[.refused] == 1)
  }

  // [MODE-5] [MODE-6]
  @Test func persistentModeIsAllFlagsAndOpportunisticModeNone() {
    #expect(SecurityFlags.persistent.rawValue == 0b1111 && SecurityFlags.opportunistic.rawValue == 0)
  }

  // [MODE-1] [XK-12]
  @Test func strangersGetNoAnswerUnderFlag1() throws {
    let pair = try Pair(provider: FastCrypto(seed: 1), flags: .helloRequiresRatchet)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.bob.statistics[.unknownRatchet] == 1 && pair.bob.statistics.datagramsSent == 0)
  }

  // [DEC-48] [RAT-8]
  @Test("Another instance that was faster ends this one, or has it begin anew", arguments: [false, true])
  func aConflict(whileOpening: Bool) throws {
    let pair = try Pair(provider: FastCrypto(seed: 1))
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    if !whileOpening { pair.settle() }
    var conflicts = 1
    pair.alice.answerStore = { [alice = pair.alice] request in
      guard case .compareAndSwap = request, conflicts > 0 else { return alice.store.answer(request) }
      conflicts -= 1
      return .notSwapped
    }
    if !whileOpening {
      let answered = try #require(pair.bob.establishedSession)
      #expect(pair.bob.rekey(answered, at: pair.now))
    }
    pair.settle()
    #expect(conflicts == 0 && pair.alice.statistics[.ratchetConflict] == 1)
    if whileOpening {
      #expect(pair.alice.state(session) == "S2", "the next instance begins at once")
    } else {
      #expect(pair.alice.state(session) == nil && pair.alice.endReasons == [.ratchetConflict])
    }
  }
}

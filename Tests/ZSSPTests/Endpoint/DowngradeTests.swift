// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP

/// What becomes of a peer that lost its ratchet, under each of the flags (sections 6 and 10).
@Suite("Downgrades and the flags")
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

  @Test func theResponderReportsAPeerWithoutItsRatchet() throws {
    let pair = try strangers(aliceLost: true, flags: .opportunistic)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "S2")
    #expect(pair.bob.downgrades == 1 && pair.alice.downgrades == 0)
  }

  @Test func theInitiatorReportsAPeerWithoutItsRatchet() throws {
    let pair = try strangers(aliceLost: false, flags: .opportunistic)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "S2")
    #expect(pair.alice.downgrades == 1 && pair.bob.downgrades == 0)
  }

  @Test func theInitiatorRefusesUnderFlag2() throws {
    let pair = try strangers(aliceLost: false, flags: .opportunistic)
    let session = try pair.alice.open(to: pair.bob, flags: .initiatorDisallowsDowngrade, at: pair.now)
    pair.run(for: .seconds(5))
    #expect(pair.alice.state(session) == "A1" && pair.alice.downgrades == 0)
    #expect(pair.alice.statistics[.notAuthentic] > 0)
  }

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

  @Test("The application's own refusal is told or not", arguments: [false, true])
  func theApplicationRefuses(silently: Bool) throws {
    let pair = try Pair(provider: FastCrypto(seed: 1))
    pair.bob.decide = { _ in .reject(silently: silently) }
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.endReasons == (silently ? [] : [.rejected]))
    #expect(pair.bob.statistics[.refused] == 1)
  }

  @Test func strangersGetNoAnswerUnderFlag1() throws {
    let pair = try Pair(provider: FastCrypto(seed: 1), flags: .helloRequiresRatchet)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.bob.statistics[.unknownRatchet] == 1 && pair.bob.statistics.datagramsSent == 0)
  }

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

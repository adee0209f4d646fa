// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

/// Each re-key costs the other side public-key work and two durable swaps, so it accepts a burst,
/// and then one per refill time (section 14).
@Suite("The pace of re-keys", .tags(.fast))
struct RekeyPaceTests {
  private let provider = FastCrypto(seed: 0x7)

  private func established(_ change: (inout Settings) -> Void = { _ in }) throws -> (Pair, SessionID, SessionID) {
    var settings = Settings()
    change(&settings)
    let pair = try Pair(provider: provider, settings: settings)
    let (one, other) = try pair.establish()
    return (pair, one, other)
  }

  private func countSwaps(of peer: TestPeer) -> () -> Int {
    var swaps = 0
    peer.answerStore = { [unowned peer] request in
      if case .compareAndSwap = request { swaps += 1 }
      return peer.store.answer(request)
    }
    return { swaps }
  }

  // [DEC-34] [DEC-35]
  @Test("a peer that re-keys without a pause costs work and swaps for rekeyBurst of them")
  func flood() throws {
    let (pair, one, other) = try established()
    let swaps = countSwaps(of: pair.bob)
    let work = pair.bob.statistics.publicKeyWork
    for _ in 0..<1000 {
      pair.alice.forgetPace(one)
      _ = pair.alice.rekey(one, at: pair.now)
      pair.settle()
    }
    let burst = UInt64(Settings().rekeyBurst)
    #expect(burst == 8 && pair.bob.description(other)?.statistics.rekeys == burst)
    #expect(pair.bob.statistics.publicKeyWork - work == burst && swaps() == 2 * Int(burst))
    // The one beyond it waits in R1, is sent again, and is read when there is a token.
    #expect(pair.alice.state(one) == "R1" && pair.bob.statistics[.rekeyTooSoon] == 1)
    pair.run(for: .milliseconds(9_999))
    #expect(pair.bob.description(other)?.statistics.rekeys == burst && pair.bob.statistics[.rekeyTooSoon] == 10)
    #expect(pair.bob.statistics.publicKeyWork - work == burst && swaps() == 2 * Int(burst))
    pair.run(for: .milliseconds(1))
    #expect(pair.bob.description(other)?.statistics.rekeys == burst + 1)
    #expect(pair.alice.endReasons == [] && pair.bob.endReasons == [])
    try pair.expectWorking()
  }

  /// A K1 that is dropped comes again, and its sender ends the session when its time is over.
  @Test("a rekeyRefill beyond the re-key timeout ends no session", arguments: [20, 60, 61, 3600] as [Int64])
  func longRefill(seconds: Int64) throws {
    let (pair, one, other) = try established {
      $0.rekeyBurst = 1
      $0.rekeyRefill = .seconds(seconds)
    }
    for _ in 0..<6 {
      pair.alice.forgetPace(one)
      #expect(pair.alice.rekey(one, at: pair.now))
      pair.run(for: .seconds(60))
    }
    #expect(pair.alice.description(one)?.statistics.rekeys == 6 && pair.bob.description(other)?.statistics.rekeys == 6)
    // Half of the re-key timeout at the longest.
    #expect(pair.bob.statistics[.rekeyTooSoon] == 0)
    pair.alice.forgetPace(one)
    #expect(pair.alice.rekey(one, at: pair.now))
    pair.settle()
    pair.alice.forgetPace(one)
    #expect(pair.alice.rekey(one, at: pair.now))
    pair.run(for: .milliseconds(1_000 * min(seconds, 30) - 1))
    #expect(pair.alice.state(one) == "R1" && pair.bob.statistics[.rekeyTooSoon] == UInt64(min(seconds, 30)))
    pair.run(for: .seconds(2))
    try pair.expectWorking()
    #expect(pair.alice.endReasons == [] && pair.bob.endReasons == [])
  }

  // [DEC-34]
  @Test("over a long time there is one in every rekeyRefill")
  func steady() throws {
    let (pair, one, other) = try established()
    for _ in 0..<1000 {
      pair.alice.forgetPace(one)
      _ = pair.alice.rekey(one, at: pair.now)
      pair.run(for: .milliseconds(100))
    }
    // 100 s. K1 comes once a second until there is a token, so the last one may be late.
    #expect((8 + 9...8 + 10).contains(try #require(pair.bob.description(other)).statistics.rekeys))
  }

  // [DEC-37]
  @Test("one's own re-keys keep to the pace that the peer is expected to have, and never meet its limit")
  func ownPace() throws {
    let (pair, one, _) = try established()
    for turn in 0..<30 {
      #expect(pair.alice.rekey(one, at: pair.now) == (turn < 8), "turn \(turn)")
      pair.settle()
    }
    pair.run(for: .milliseconds(9_999))
    #expect(!pair.alice.rekey(one, at: pair.now))
    for _ in 0..<20 {
      pair.run(for: .milliseconds(10_000))
      #expect(pair.alice.rekey(one, at: pair.now))
      pair.settle()
    }
    #expect(pair.alice.description(one)?.statistics.rekeys == 28 && pair.bob.statistics[.rekeyTooSoon] == 0)
  }

  @Test("each side has a pace of its own")
  func bothSides() throws {
    let (pair, one, other) = try established()
    for _ in 0..<8 {
      for (peer, id) in [(pair.alice, one), (pair.bob, other)] {
        #expect(peer.rekey(id, at: pair.now))
        pair.settle()
      }
    }
    #expect(pair.alice.description(one)?.statistics.rekeys == 16)
    #expect(pair.alice.statistics[.rekeyTooSoon] + pair.bob.statistics[.rekeyTooSoon] == 0)
  }

  // [DEC-12] [DEC-36] [KK-9]
  @Test("a K1 that comes again while the first is being worked on, and a replayed one, take no token")
  func resends() throws {
    let (pair, one, other) = try established { $0.rekeyBurst = 2 }
    pair.bob.answerStore = { _ in nil }
    #expect(pair.alice.rekey(one, at: pair.now))
    let first = pair.intercept()
    for datagram in first + first { pair.deliver(datagram) }
    for _ in 0..<5 {
      pair.skip(.seconds(1))
      pair.alice.advance(to: pair.now)
      pair.settle()
    }
    #expect(pair.bob.statistics[.busy] == 5 && pair.bob.statistics[.replayed] == 1)
    pair.bob.answerStore = nil
    let waiting = try #require(pair.bob.unanswered.last)
    pair.bob.answer(waiting.id, pair.bob.store.answer(waiting.request), at: pair.now)
    pair.settle()
    // The second token is still there, and no third.
    pair.alice.forgetPace(one)
    #expect(pair.alice.rekey(one, at: pair.now))
    pair.settle()
    #expect(pair.bob.description(other)?.statistics.rekeys == 2 && pair.bob.statistics[.rekeyTooSoon] == 0)
    pair.alice.forgetPace(one)
    #expect(pair.alice.rekey(one, at: pair.now))
    pair.settle()
    #expect(pair.bob.description(other)?.statistics.rekeys == 2 && pair.bob.statistics[.rekeyTooSoon] == 1)
  }

  // [DEC-34] [DEC-37] [TIME-6]
  @Test("keys that last a second are replaced every second", arguments: [Duration.zero, .milliseconds(900)])
  func shortLives(jitter: Duration) throws {
    let (pair, one, _) = try established {
      $0.rekeyAfter = .seconds(1)
      $0.rekeyJitter = jitter
    }
    pair.run(for: .seconds(200))
    let rekeys = try #require(pair.alice.description(one)).statistics.rekeys
    #expect(rekeys >= 199 && pair.alice.statistics[.rekeyTooSoon] + pair.bob.statistics[.rekeyTooSoon] == 0)
  }

  // [DEC-38]
  /// A K2 whose swap fails is read again: as often as an honest peer sends it, and not as often as
  /// it could.
  @Test("a K2 that comes again at once is not read again")
  func answers() throws {
    let (pair, one, other) = try established()
    pair.alice.answerStore = { _ in .failed }
    #expect(pair.alice.rekey(one, at: pair.now))
    for datagram in pair.intercept() { pair.deliver(datagram) }
    var answers = pair.intercept()
    for _ in 0..<4 {
      pair.skip(.seconds(1))
      pair.bob.advance(to: pair.now)
      answers += pair.intercept()
    }
    #expect(answers.count == 5)
    let work = pair.alice.statistics.publicKeyWork
    for datagram in answers { pair.deliver(datagram) }
    #expect(pair.alice.statistics.publicKeyWork - work == 1 && pair.alice.statistics[.rekeyTooSoon] == 4)
    pair.alice.answerStore = nil
    pair.run(for: .seconds(2))
    #expect(pair.alice.description(one)?.statistics.rekeys == 1 && pair.bob.description(other)?.statistics.rekeys == 1)
    try pair.expectWorking()
  }
}

// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto

/// A Hello is not fresh by itself: anyone can say it again, from anywhere.
@Suite("Attack: replayed X1", .tags(.fast), .serialized)
struct ReplayedHelloTests {
  private let provider = SwiftCryptoProvider()

  /// A Hello of Alice's that Bob never gets, of an attempt that she gives up.
  private func unansweredHello(_ pair: Pair) throws -> [Datagram] {
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    defer { pair.alice.close(session) }
    return pair.intercept()
  }

  // [MODE-1] [XK-12]
  @Test func withAnUnrecognisedFingerprintAPersistentBobIsSilent() throws {
    let pair = try Pair.persistent(provider)
    let old = try unansweredHello(pair)
    // Two sessions later its fingerprint is that of no state that Bob holds.
    _ = try pair.establish()
    let (one, other) = try pair.establish()
    let before = Footing(pair.bob, sessions: [other])
    let sent = pair.bob.statistics.datagramsSent
    for source in [mallory, pair.alice.address] {
      for datagram in old.from(source) { pair.deliver(datagram) }
      #expect(pair.intercept().isEmpty)
    }
    #expect(pair.bob.statistics[.unknownRatchet] == 2 && pair.bob.halfOpenCount == 0)
    #expect(pair.bob.statistics.datagramsSent == sent && Footing(pair.bob, sessions: [other]) == before)
    try pair.expectData(one, other)
  }

  // [DEC-28] [TIME-3] [XK-13]
  @Test func withAnUnrecognisedFingerprintAnOpportunisticBobAnswersAndKeepsHisSession() throws {
    let pair = try Pair(provider: provider)
    let old = try unansweredHello(pair)
    let (one, other) = try pair.establish()
    let before = Footing(pair.bob, sessions: [other])
    let replies = pair.round(old.from(mallory))
    #expect(!replies.isEmpty && replies.allSatisfy { $0.to == mallory } && pair.bob.halfOpenCount == 1)
    #expect(Footing(pair.bob, sessions: [other]) == before)
    // Nobody can answer X2: Alice has forgotten the ephemeral keys.
    for reply in replies { pair.alice.receive(reply.bytes, from: mallory, at: pair.now) }
    #expect(pair.intercept().isEmpty)
    pair.run(for: .seconds(10))
    #expect(pair.bob.halfOpenCount == 0 && Footing(pair.bob, sessions: [other]) == before)
    #expect(pair.bob.downgrades == 0)
    try pair.expectData(one, other)
  }

  @Test(arguments: [SecurityFlags.persistent, .opportunistic])
  func withARecognisedFingerprintNothingIsLost(flags: SecurityFlags) throws {
    var settings = Settings()
    settings.halfOpenLimit = 32
    let pair = try Pair.of(flags, provider: provider, settings: settings)
    let (one, other) = try pair.establish()
    let known = try unansweredHello(pair)
    let before = (Footing(pair.alice, sessions: [one]), Footing(pair.bob, sessions: [other]))
    for _ in 0..<40 { _ = pair.round(known.from(mallory)) }
    #expect(pair.bob.halfOpenCount == 32 && pair.bob.statistics[.evicted] == 8)
    #expect(Footing(pair.alice, sessions: [one]) == before.0 && Footing(pair.bob, sessions: [other]) == before.1)
    pair.run(for: .seconds(10))
    #expect(pair.bob.halfOpenCount == 0)
    #expect(Footing(pair.alice, sessions: [one]) == before.0 && Footing(pair.bob, sessions: [other]) == before.1)
    try pair.expectWorking()
  }

  /// An observer repeats an old Hello, still recognised, each time that Bob answers Alice. That
  /// used to give up the attempt that Bob had just answered.
  @Test("a Hello repeated at every answer does not keep the pair apart", arguments: [false, true])
  func repeatedAtEveryAnswer(_ isFirstContact: Bool) throws {
    let pair = try Pair.persistent(provider)
    if !isFirstContact { pair.alice.close(try pair.establish().alice) }
    let old = try unansweredHello(pair)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    var answers = 0
    for _ in 0..<12 where pair.alice.state(session) != "S2" {
      while true {
        pair.collect()
        // Before anything of Bob's arrives, the old Hello is with him again.
        if pair.inFlight.contains(where: { $0.from == pair.bob.address && $0.to == pair.alice.address }) {
          answers += 1
          for datagram in old.from(mallory) { pair.deliver(datagram) }
        }
        guard pair.deliverOne() != nil else { break }
      }
      pair.skip(.seconds(1))
      pair.alice.advance(to: pair.now)
      pair.bob.advance(to: pair.now)
    }
    #expect(answers > 0 && pair.alice.state(session) == "S2", "after \(answers) answers")
    #expect(pair.alice.description(session)?.lastRestart == nil, "the first attempt comes through")
    pair.run(for: .seconds(12))
    #expect(pair.bob.statistics[.superseded] == 0)
    #expect(pair.bob.endReasons.allSatisfy { [.replaced, .closedByPeer].contains($0) })
    try pair.expectWorking()
  }

  /// Bob waits for K2 meanwhile. The Hello used to end the session.
  @Test("a Hello repeated in R1 neither ends the session nor moves a timer")
  func repeatedInR1() throws {
    let pair = try Pair.persistent(provider)
    let (one, other) = try pair.establish()
    let known = try unansweredHello(pair)
    _ = pair.beginRekey(other)
    #expect(pair.bob.state(other) == "R1")
    for _ in 0..<20 {
      let before = Footing(pair.bob, sessions: [other])
      _ = pair.round(known.from(mallory))
      #expect(Footing(pair.bob, sessions: [other]) == before)
      // K1 is sent again every second, and lost.
      pair.skip(.seconds(1))
      let sent = pair.bob.statistics.datagramsSent
      pair.bob.advance(to: pair.now)
      #expect(pair.intercept().count == 1 && pair.bob.statistics.datagramsSent == sent + 1)
    }
    // The next K1 comes through, with the Hello behind it, and before its answer.
    pair.skip(.seconds(1))
    pair.bob.advance(to: pair.now)
    let answer = pair.round(pair.intercept())
    #expect(pair.alice.state(one) == "R2" && answer.count == 1)
    _ = pair.round(known.from(mallory))
    for datagram in answer { pair.deliver(datagram) }
    pair.settle()
    #expect(pair.bob.description(other)?.statistics.rekeys == 1 && pair.bob.endReasons == [])
    try pair.expectWorking()
  }
}

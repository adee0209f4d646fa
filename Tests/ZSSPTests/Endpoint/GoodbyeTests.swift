// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

/// An application that closes a session says so (section 14).
@Suite("An end that is said", .tags(.fast))
struct GoodbyeTests {
  private let provider = FastCrypto(seed: 0x12)

  // [DEC-84]
  @Test("the peer's session ends in S1, S2, R1 and R2")
  func everyState() throws {
    for state in ["S1", "S2", "R1", "R2"] {
      let pair = try Pair(provider: provider)
      let one: SessionID
      let other: SessionID
      if state == "S1" {
        one = try pair.alice.open(to: pair.bob, at: pair.now)
        while pair.alice.state(one) != "S2" { _ = try #require(pair.deliverOne()) }
        other = try #require(pair.bob.establishedSession)
      } else {
        (one, other) = try pair.establish()
      }
      if state == "R1" {
        #expect(pair.bob.rekey(other, at: pair.now))
        _ = pair.intercept()
      }
      if state == "R2" {
        #expect(pair.alice.rekey(one, at: pair.now))
        while pair.bob.state(other) != "R2" { _ = try #require(pair.deliverOne()) }
      }
      #expect(pair.bob.state(other) == state)
      _ = pair.intercept()
      pair.alice.close(one)
      let goodbye = pair.intercept()
      #expect(goodbye.count == 1 && goodbye[0].bytes.count == 32)
      for datagram in goodbye { pair.deliver(datagram) }
      #expect(pair.bob.endReasons == [.closedByPeer], "\(state)")
      // Once, and the end of a session is not answered.
      pair.run(for: .seconds(100))
      #expect(pair.alice.endReasons == [.closed] && pair.intercept().isEmpty)
    }
  }

  /// The one who has sent C1 under the new key uses it, while the other still waits in R2.
  // [DEC-84]
  @Test func underTheNewKeyInR2() throws {
    let pair = try Pair(provider: provider)
    let (one, other) = try pair.establish()
    #expect(pair.alice.rekey(one, at: pair.now))
    while pair.alice.state(one) != "S1" { _ = try #require(pair.deliverOne()) }
    #expect(pair.bob.state(other) == "R2")
    _ = pair.intercept()
    pair.alice.close(one)
    for datagram in pair.intercept() { pair.deliver(datagram) }
    #expect(pair.bob.endReasons == [.closedByPeer])
  }

  /// The one in R2 still sends under the old key, while the other is in S1 with the new.
  // [DEC-84]
  @Test func underTheOldKeyInS1() throws {
    let pair = try Pair(provider: provider)
    let (one, other) = try pair.establish()
    #expect(pair.alice.rekey(one, at: pair.now))
    while pair.alice.state(one) != "S1" { _ = try #require(pair.deliverOne()) }
    _ = pair.intercept()
    pair.bob.close(other)
    for datagram in pair.intercept() { pair.deliver(datagram) }
    #expect(pair.alice.endReasons == [.closedByPeer])
  }

  /// A thief of a key that was replaced cannot end the session with it.
  // [DEC-84]
  @Test func underThePreviousKeyItIsRefused() throws {
    let pair = try Pair(provider: provider)
    let (one, other) = try pair.establish()
    #expect(pair.alice.rekey(one, at: pair.now))
    pair.settle()
    #expect(pair.alice.state(one) == "S2" && pair.bob.state(other) == "S2")
    for (thief, victim, session) in [(pair.alice, pair.bob, one), (pair.bob, pair.alice, other)] {
      let goodbye = try #require(thief.goodbyeUnderPreviousKey(session))
      #expect(victim.receive(goodbye, from: thief.address, at: pair.now) == .dropped(.unexpected))
    }
    #expect(pair.alice.state(one) == "S2" && pair.bob.state(other) == "S2")
  }

  // [DEC-84]
  @Test("a D that is held back does not end the session that follows")
  func heldBack() throws {
    let pair = try Pair(provider: provider)
    let (one, _) = try pair.establish()
    pair.alice.close(one)
    let goodbye = pair.intercept()
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.run(for: .seconds(2))
    for datagram in goodbye { pair.deliver(datagram) }
    #expect(pair.bob.endReasons == [.replaced])
    try pair.expectWorking()
  }

  // [DEC-84]
  @Test("a D that is forged in any bit ends nothing")
  func forged() throws {
    let pair = try Pair(provider: provider)
    let (one, other) = try pair.establish()
    pair.alice.close(one)
    let goodbye = try #require(pair.intercept().first)
    for bit in 0..<goodbye.bytes.count * 8 {
      pair.bob.receive(goodbye.flipped(bit / 8, bit % 8).bytes, from: goodbye.from, at: pair.now)
    }
    pair.collect()
    #expect(pair.bob.state(other) == "S2" && pair.bob.endReasons == [])
    pair.deliver(goodbye)
    #expect(pair.bob.endReasons == [.closedByPeer])
    // Repeated, it is a stranger's datagram.
    #expect(pair.bob.receive(goodbye.bytes, from: goodbye.from, at: pair.now) == .dropped(.unknownKeyID))
  }

  // [DEC-84]
  @Test("an attempt that is given up says nothing, and no other end does")
  func silentEnds() throws {
    let pair = try Pair(provider: provider)
    let attempt = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = pair.intercept()
    pair.alice.close(attempt)
    #expect(pair.intercept().isEmpty)
    // A session that a newer one replaces.
    let (_, other) = try pair.establish()
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.bob.endReasons == [.replaced] && pair.bob.state(other) == nil)
    #expect(pair.alice.endReasons == [.closed, .replaced])
  }

  /// The responder had accepted, so nobody is told of a rejection: C1 got lost, or the store is
  /// still requested to drop the older state when D comes.
  // [CTRL-5] [DEC-84]
  @Test(arguments: [false, true]) func inA3ItIsNoRejection(confirmationComes: Bool) throws {
    let pair = try Pair(provider: provider)
    let one = try pair.alice.open(to: pair.bob, at: pair.now)
    while pair.bob.establishedSession == nil { _ = try #require(pair.deliverOne()) }
    let confirmation = pair.intercept()
    if confirmationComes {
      pair.alice.answerStore = { _ in nil }
      for datagram in confirmation { pair.deliver(datagram) }
    }
    #expect(pair.alice.state(one) == "A3")
    pair.bob.close(try #require(pair.bob.establishedSession))
    for datagram in pair.intercept() { pair.deliver(datagram) }
    #expect(pair.alice.state(one) == nil && pair.alice.endReasons == [.closedByPeer])
    pair.alice.answerStore = nil
    // What was stored on both sides still leads to a session.
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    try pair.expectWorking()
    #expect(pair.alice.downgrades == 0 && pair.bob.downgrades == 0)
  }
}

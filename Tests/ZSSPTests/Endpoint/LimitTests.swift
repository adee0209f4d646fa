// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

/// The limits of section 4, reached exactly.
@Suite("Uses of a key and counters", .tags(.fast))
struct LimitTests {
  private let provider = FastCrypto(seed: 0x11)

  /// A pair in S2 with these limits. Bob's C1 and Alice's C2 were the first uses of the key.
  private func established(rekeyUses: UInt64 = 1 << 30, keyUseLimit: UInt64 = 1 << 32 - 1) throws
    -> (pair: Pair, alice: SessionID, bob: SessionID)
  {
    var settings = Settings()
    settings.rekeyUses = min(rekeyUses, keyUseLimit - 1)
    settings.keyUseLimit = keyUseLimit
    let pair = try Pair(provider: provider, settings: settings)
    let (one, other) = try pair.establish()
    #expect(pair.alice.nextCounter(one) == 1 && pair.bob.nextCounter(other) == 1)
    return (pair, one, other)
  }

  // [CTR-11] [KK-1]
  @Test("a re-key begins at the n-th use, and not before", arguments: [5, 20, 100] as [UInt64])
  func rekeyUses(limit: UInt64) throws {
    let (pair, one, other) = try established(rekeyUses: limit)
    for use in 2...limit {
      #expect(pair.alice.state(one) == "S2" && pair.alice.statistics.publicKeyWork == 2)
      try pair.alice.send([1], on: one, at: pair.now)
      let sent = pair.intercept()
      // The message, and K1 behind it if this was the n-th use.
      #expect(sent.count == (use == limit ? 2 : 1))
      #expect(pair.alice.state(one) == (use == limit ? "R1" : "S2"))
      for datagram in sent { pair.deliver(datagram) }
    }
    pair.settle()
    #expect(pair.alice.description(one)?.statistics.rekeys == 1 && pair.alice.chainLength(one) == 2)
    try pair.expectData(one, other)
  }

  // [CTR-11]
  @Test("a use in S1 or R2 does not begin a re-key, and the first in S2 that is beyond the limit does")
  func rekeyUsesElsewhere() throws {
    var settings = Settings()
    settings.rekeyUses = 5
    let pair = try Pair(provider: provider, settings: settings)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    let confirm = pair.round(pair.round(pair.round(pair.intercept())))
    let other = try #require(pair.bob.establishedSession)
    for _ in 0..<10 { try pair.bob.send([1], on: other, at: pair.now) }
    #expect(pair.bob.state(other) == "S1" && pair.intercept().count == 10)
    for datagram in pair.round(confirm) { pair.deliver(datagram) }
    #expect(pair.bob.state(other) == "S2" && pair.intercept().isEmpty)
    try pair.bob.send([1], on: other, at: pair.now)
    #expect(pair.bob.state(other) == "S2" && pair.intercept().count == 2 && pair.bob.state(other) == "R1")
  }

  /// The states in which data may be sent, and how to come there with one use of the key, or some
  /// more.
  enum State: String, CaseIterable { case s1 = "S1", s2 = "S2", r1 = "R1", r2 = "R2" }

  /// A pair in which the second of the result is in `state`, and all that it sends is lost.
  private func reach(_ state: State, keyUseLimit: UInt64) throws -> (Pair, TestPeer, SessionID) {
    if state == .s1 {
      var settings = Settings()
      settings.rekeyUses = keyUseLimit - 1
      settings.keyUseLimit = keyUseLimit
      let pair = try Pair(provider: provider, settings: settings)
      _ = try pair.alice.open(to: pair.bob, at: pair.now)
      _ = pair.round(pair.round(pair.round(pair.intercept())))
      return (pair, pair.bob, try #require(pair.bob.establishedSession))
    }
    let (pair, one, other) = try established(keyUseLimit: keyUseLimit)
    if state == .s2 {
      // The re-key that the use of the key begins comes to nothing.
      pair.alice.losesWork = true
      return (pair, pair.alice, one)
    }
    let first = pair.beginRekey(other)
    if state == .r1 { return (pair, pair.bob, other) }
    _ = pair.round(first)
    return (pair, pair.alice, one)
  }

  // [CTR-10] [CTRL-6]
  @Test("the last allowed use is sent, the next throws and ends the session", arguments: State.allCases)
  func keyUseLimit(state: State) throws {
    let limit: UInt64 = 10
    let (pair, peer, session) = try reach(state, keyUseLimit: limit)
    let used = try #require(peer.nextCounter(session))
    #expect(peer.state(session) == state.rawValue && used == (state == .s1 || state == .s2 ? 1 : 2))
    for _ in used..<limit {
      try peer.send([7], on: session, at: pair.now)
      #expect(pair.intercept().count == 1)
    }
    #expect(peer.state(session) == state.rawValue && peer.nextCounter(session) == limit)
    #expect(throws: SendError.keyExhausted) { try peer.send([7], on: session, at: pair.now) }
    #expect(pair.intercept().isEmpty && peer.state(session) == nil && peer.endReasons == [.keyExhausted])
    #expect(throws: SendError.unknownSession) { try peer.send([7], on: session, at: pair.now) }
  }

  // [CTR-10] [DEC-42] [TIME-5] [TIME-7] [TIME-8]
  @Test("resends are uses, too, and end the session at the limit", arguments: [State.s1, .r1, .r2])
  func keyUseLimitByResends(state: State) throws {
    let limit: UInt64 = 10
    let (pair, peer, session) = try reach(state, keyUseLimit: limit)
    for counter in try #require(peer.nextCounter(session))..<limit {
      #expect(peer.nextCounter(session) == counter)
      pair.skip(.seconds(1))
      peer.advance(to: pair.now)
      #expect(peer.pump(at: pair.now).count == 1)
    }
    pair.skip(.seconds(1))
    peer.advance(to: pair.now)
    #expect(peer.pump(at: pair.now).isEmpty && peer.endReasons == [.keyExhausted])
  }

  // [CTR-2] [DEC-42]
  @Test("uses are counted from the making of the key")
  func usesOfANewKey() throws {
    let (pair, one, other) = try established(keyUseLimit: 12)
    for _ in 0..<8 { try pair.alice.send([1], on: one, at: pair.now) }
    pair.settle()
    #expect(pair.alice.rekey(one, at: pair.now))
    pair.settle()
    #expect(pair.alice.description(one)?.statistics.rekeys == 1)
    let first = try #require(pair.alice.nextCounter(one))
    #expect(first > 9)
    pair.alice.losesWork = true
    for _ in 0..<11 { try pair.alice.send([1], on: one, at: pair.now) }
    pair.settle()
    // C1 was the first use of the new key.
    #expect(pair.bob.messages.count == 19)
    #expect(throws: SendError.keyExhausted) { try pair.alice.send([1], on: one, at: pair.now) }
    #expect(pair.bob.state(other) == "S2")
  }

  // [CTR-6]
  @Test(
    "a counter may be 2^24 ahead of the newest, and no more", arguments: [(0, true), (1, false)] as [(UInt64, Bool)])
  func largestStep(beyond: UInt64, isTaken: Bool) throws {
    let (pair, one, _) = try established()
    try pair.alice.send([1], on: one, at: pair.now)
    pair.settle()
    let newest = try #require(pair.alice.nextCounter(one)) - 1
    pair.alice.skipCounters(one, to: newest + 1 << 24 + beyond)
    for (size, expected) in [(1, 2), (5000, 3)] {
      try pair.alice.send([UInt8](repeating: 2, count: size), on: one, at: pair.now)
      let sent = pair.intercept()
      for datagram in sent { pair.deliver(datagram) }
      #expect(pair.bob.messages.count == (isTaken ? expected : 1))
    }
    #expect((pair.bob.statistics[.replayed] == 0) == isTaken)
  }

  // [CTR-3] [CTR-4] [CTR-5]
  @Test("the window spans 8192 counters, of packets whole and in fragments", arguments: [1, 5000])
  func windowEdges(size: Int) throws {
    let (pair, one, _) = try established()
    var sent: [[Datagram]] = []
    func send() throws {
      try pair.alice.send([UInt8](repeating: UInt8(sent.count), count: size), on: one, at: pair.now)
      sent.append(pair.intercept())
    }
    let first = try #require(pair.alice.nextCounter(one))
    try send()
    try send()
    pair.alice.skipCounters(one, to: first + 8192)
    try send()
    for datagram in sent[2] + sent[0] + sent[1] + sent[1] + sent[2] { pair.deliver(datagram) }
    #expect(pair.bob.messages.map { $0.bytes.first } == [2, 1], "8192 back is too old, 8191 is not; each once")
    #expect(pair.bob.statistics[.replayed] == UInt64(3 * sent[0].count))
  }

  // [CTR-7]
  /// Section 5: the window is looked at twice, for the fragments and for the packet.
  @Test func aPacketThatBecomesTooOldWhileItIsIncompleteIsDropped() throws {
    let (pair, one, _) = try established()
    let first = try #require(pair.alice.nextCounter(one))
    try pair.alice.send([UInt8](repeating: 1, count: 2000), on: one, at: pair.now)
    let fragments = pair.intercept()
    #expect(fragments.count == 2)
    pair.deliver(fragments[0])
    #expect(pair.bob.diagnostics.reassemblyBytes > 0)
    pair.alice.skipCounters(one, to: first + 9000)
    try pair.alice.send([2], on: one, at: pair.now)
    pair.settle()
    pair.deliver(fragments[1])
    #expect(pair.bob.messages.map(\.bytes) == [[2]] && pair.bob.statistics[.replayed] == 1)
    pair.run(for: .seconds(5))
    #expect(pair.bob.statistics[.reassemblyTimeout] == 1 && pair.bob.diagnostics.reassemblyBytes == 0)
  }
}

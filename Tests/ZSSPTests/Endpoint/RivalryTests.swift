// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP

@Suite("Several sessions with one peer come to one")
struct RivalryTests {
  /// Expects exactly one session on each side, the same one, that works.
  private func expectOne(_ pair: Pair, sourceLocation: SourceLocation = #_sourceLocation) throws {
    #expect(pair.alice.sessionCount == 1 && pair.bob.sessionCount == 1, sourceLocation: sourceLocation)
    let (a, b) = (try #require(pair.alice.establishedSession), try #require(pair.bob.establishedSession))
    #expect(pair.alice.state(a) == "S2" && pair.bob.state(b) == "S2", sourceLocation: sourceLocation)
    try pair.alice.send([1], on: a, at: pair.now)
    try pair.bob.send([2], on: b, at: pair.now)
    pair.settle()
    #expect(pair.alice.messages.last?.bytes == [2], sourceLocation: sourceLocation)
    #expect(pair.bob.messages.last?.bytes == [1], sourceLocation: sourceLocation)
    #expect(
      pair.alice.store.pairs[pair.bob.publicKey] == pair.bob.store.pairs[pair.alice.publicKey],
      sourceLocation: sourceLocation)
  }

  /// Bob opens when Alice's handshake has come so many datagrams far, at whichever side has the smaller key.
  @Test(arguments: providers, 0...9)
  func bothOpenAtOnce(provider: any CryptoProvider, datagrams: Int) throws {
    for bobIsSmaller in [false, true] {
      try bothOpen(pair(provider, bobIsSmaller: bobIsSmaller), after: datagrams)
    }
  }

  /// Two peers, of which the one has the smaller key.
  private func pair(_ provider: any CryptoProvider, bobIsSmaller: Bool) throws -> Pair {
    while true {
      let pair = try Pair(provider: provider)
      if (pair.bob.publicKey < pair.alice.publicKey) == bobIsSmaller { return pair }
    }
  }

  private func bothOpen(_ pair: Pair, after datagrams: Int) throws {
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    for _ in 0..<datagrams { pair.deliverOne() }
    _ = try pair.bob.open(to: pair.alice, at: pair.now)
    pair.run(for: .seconds(3))
    try expectOne(pair)
  }

  /// The same with a round trip between the two, so that both get as far as X3.
  @Test(arguments: providers, [false, true])
  func bothGetAsFarAsX3(provider: any CryptoProvider, bobIsSmaller: Bool) throws {
    let pair = try pair(provider, bobIsSmaller: bobIsSmaller)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = try pair.bob.open(to: pair.alice, at: pair.now)
    for _ in 0..<3 { for datagram in pair.intercept() { pair.deliver(datagram) } }
    pair.run(for: .seconds(3))
    try expectOne(pair)
  }

  @Test(arguments: providers)
  func aSecondSessionReplacesTheFirst(provider: any CryptoProvider) throws {
    let pair = try Pair(provider: provider)
    let first = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    let second = try pair.alice.open(to: pair.bob, at: pair.now)
    #expect(pair.alice.state(first) == "S2", "the first carries on until the second is up")
    pair.settle()
    #expect(pair.alice.state(first) == nil && pair.alice.state(second) == "S2")
    #expect(pair.alice.endReasons == [.replaced] && pair.bob.endReasons == [.replaced])
    try expectOne(pair)
  }

  /// Leaves the answers to some of Alice's swaps, by number, to be given later. The store itself does as it is asked.
  private func holdSwaps(of peer: TestPeer, _ numbers: Set<Int>) {
    var swaps = 0
    peer.answerStore = { [unowned peer] request in
      let answer = peer.store.answer(request)
      guard case .compareAndSwap = request else { return answer }
      swaps += 1
      return numbers.contains(swaps) ? nil : answer
    }
  }

  /// Alice's first session is confirmed, but her store is slow to say so; until it does, a second session has come up, and
  /// Bob has ended the first. The answer used to end the second, and left each side with a session that the other had not.
  /// Found by the simulator.
  @Test func aConfirmationWhoseAnswerIsLateDoesNotEndTheNewerSession() throws {
    let pair = try Pair(provider: FastCrypto(seed: 1))
    holdSwaps(of: pair.alice, [2])
    let first = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    let late = try #require(pair.alice.unanswered.first?.id)
    #expect(pair.alice.state(first) == "A3" && pair.bob.establishedSession != nil)
    let second = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(second) == "S2" && pair.bob.endReasons == [.replaced])
    pair.alice.answer(late, .swapped, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(first) == nil && pair.alice.endReasons == [.replaced])
    #expect(pair.alice.state(second) == "S2")
    try expectOne(pair)
  }

  /// The same on Bob's side: the answers to the swaps of two handshakes come in the wrong order.
  @Test func anAcceptanceWhoseAnswerIsLateDoesNotEndTheNewerSession() throws {
    let pair = try Pair(provider: FastCrypto(seed: 2))
    holdSwaps(of: pair.bob, [1])
    // Two handshakes, both as if there had been none before, both at X3.
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    let completion = pair.round(pair.round(pair.intercept()))
    try pair.alice.restart()
    pair.alice.store = .init()
    let second = try pair.alice.open(to: pair.bob, at: pair.now)
    let newer = pair.round(pair.round(pair.intercept()))
    #expect(pair.round(completion).isEmpty)
    let late = try #require(pair.bob.unanswered.first?.id)
    for datagram in newer { pair.deliver(datagram) }
    pair.settle()
    #expect(pair.alice.state(second) == "S2")
    pair.bob.answer(late, .swapped, at: pair.now)
    pair.settle()
    #expect(pair.bob.statistics[.superseded] == 1 && pair.bob.endReasons == [] && pair.bob.halfOpenCount == 0)
    try expectOne(pair)
  }

  /// A late K1 of the session that is about to be replaced has Alice ask for a swap that must fail. That the request is the
  /// later one makes the session no newer: both used to end.
  @Test func aSwapThatDoesNotTakeEffectMakesNoSessionTheNewer() throws {
    let pair = try Pair(provider: FastCrypto(seed: 3))
    let (old, other) = try pair.establish()
    let lateK1 = pair.beginRekey(other)
    holdSwaps(of: pair.alice, [2, 3])
    let new = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(new) == "A3" && pair.alice.state(old) == "S2" && pair.bob.endReasons == [.replaced])
    for datagram in lateK1 { pair.deliver(datagram) }
    let late = pair.alice.unanswered.map(\.id)
    try #require(late.count == 2)
    pair.alice.answer(late[0], .swapped, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(new) == "S2" && pair.alice.endReasons == [.replaced])
    pair.alice.answer(late[1], .notSwapped, at: pair.now)
    pair.settle()
    try expectOne(pair)
  }

  @Test(arguments: providers)
  func aRestartedPeerComesBack(provider: any CryptoProvider) throws {
    let pair = try Pair(provider: provider, flags: .opportunistic)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    try pair.alice.restart()
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.downgrades == 0 && pair.bob.downgrades == 0)
    try expectOne(pair)
  }
}

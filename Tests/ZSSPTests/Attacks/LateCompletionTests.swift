// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

/// X3 that comes late, because an attacker held it back or a machine was slow: whatever the two
/// sides have done since, both hold a ratchet state in common, and no session is replaced by one
/// whose keys the peer has erased (section 14).
@Suite("Attack: X3 that comes late", .tags(.fast))
struct LateCompletionTests {
  /// Two persistent peers with a one-time password, of which one has the smaller key.
  private func persistentPair(_ provider: FastCrypto, bobIsSmaller: Bool = false) throws -> Pair {
    while true {
      let pair = try Pair.persistent(provider)
      if (pair.bob.publicKey < pair.alice.publicKey) == bobIsSmaller { return pair }
    }
  }

  private func expectCommonState(_ pair: Pair, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let alice = try #require(pair.alice.store.pairs[pair.bob.publicKey], sourceLocation: sourceLocation)
    let bob = try #require(pair.bob.store.pairs[pair.alice.publicKey], sourceLocation: sourceLocation)
    #expect(
      [alice.state1, alice.state2].compactMap(\.self).contains { bob.contains($0) }, sourceLocation: sourceLocation)
  }

  // [DEC-64] [DEC-69] [DEC-70]
  /// Alice abandons attempts, each of which got as far as X3. An attacker repeats the Hellos, each
  /// of which revokes the outcome of the attempt before it, and then releases the last X3 but one.
  @Test(
    "however many Hellos are repeated, the X3 of an abandoned attempt is refused",
    arguments: [0, 7, 8, RevokedStates.limit - 1, RevokedStates.limit, RevokedStates.limit + 1])
  func repeatedHellos(replays: Int) throws {
    let pair = try persistentPair(FastCrypto(seed: 5))
    let first = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    pair.alice.close(first)
    if let session = pair.bob.establishedSession { pair.bob.close(session) }

    var hellos: [[Datagram]] = []
    var heldX3: [Datagram] = []
    var session: SessionID?
    for _ in 0..<replays + 2 {
      // So long that none but the last half-open handshake is left.
      pair.skip(.seconds(11))
      pair.bob.advance(to: pair.now)
      if let session { pair.alice.close(session) }
      session = try pair.alice.open(to: pair.bob, at: pair.now)
      hellos.append(pair.intercept())
      heldX3 = pair.round(pair.round(hellos[hellos.count - 1]))
    }
    pair.skip(.seconds(3))
    pair.alice.close(try #require(session))
    session = try pair.alice.open(to: pair.bob, at: pair.now)
    let newX3 = pair.round(pair.round(pair.intercept()))
    for hello in hellos.dropFirst().prefix(replays) {
      for datagram in hello {
        pair.deliver(
          Datagram(from: Address(ipv4: 0x0A00_0099, port: 9), to: datagram.to, bytes: datagram.bytes))
      }
      _ = pair.intercept()
    }
    for datagram in heldX3 { pair.deliver(datagram) }
    #expect(pair.bob.sessionCount == 0 && pair.intercept().isEmpty)
    for datagram in newX3 { pair.deliver(datagram) }
    pair.settle()
    try expectCommonState(pair)
    pair.run(for: .seconds(60))
    #expect(pair.alice.establishedSession != nil && pair.bob.establishedSession != nil)
  }

  // [DEC-64] [DEC-69] [DEC-70]
  /// Bob has sent K1, and Alice's K2 is held back while she begins a new handshake.
  @Test(
    "however many Hellos are repeated, a K2 whose outcome was abandoned is refused",
    arguments: [0, 8, RevokedStates.limit + 1])
  func repeatedHellosAndK2(replays: Int) throws {
    let pair = try persistentPair(FastCrypto(seed: 6))
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    // Hellos of attempts that Alice makes, and abandons, under the state that the session goes by.
    var hellos: [[Datagram]] = []
    for _ in 0..<replays + 1 {
      let attempt = try pair.alice.open(to: pair.bob, at: pair.now)
      hellos.append(pair.intercept())
      _ = pair.round(pair.round(hellos[hellos.count - 1]))
      pair.alice.close(attempt)
      pair.skip(.seconds(11))
      pair.bob.advance(to: pair.now)
    }
    #expect(pair.bob.rekey(try #require(pair.bob.establishedSession), at: pair.now))
    let heldK2 = pair.round(pair.intercept())
    try pair.alice.restart()
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    let newX3 = pair.round(pair.round(pair.intercept()))
    for hello in hellos.dropFirst() {
      for datagram in hello { pair.deliver(datagram) }
      _ = pair.intercept()
    }
    for datagram in heldK2 { pair.deliver(datagram) }
    _ = pair.intercept()
    for datagram in newX3 { pair.deliver(datagram) }
    pair.settle()
    try expectCommonState(pair)
    pair.run(for: .seconds(120))
    try expectCommonState(pair)
  }

  // [DEC-43] [DEC-44] [DEC-45]
  /// Alice, whose key is the smaller, gets Bob's X3 when the session of her own attempt is up.
  @Test(
    "after both opened at once, a late X3 does not replace the session", arguments: [false, true], [0, 1500, 9000])
  func bothOpenAtOnce(secondContact: Bool, milliseconds: Int64) throws {
    let provider = FastCrypto(seed: UInt64(milliseconds) + 1)
    while true {
      let pair = try Pair(provider: provider)
      if pair.bob.publicKey < pair.alice.publicKey { continue }
      return try bothOpenAtOnce(pair, secondContact: secondContact, late: .milliseconds(milliseconds))
    }
  }

  private func bothOpenAtOnce(_ pair: Pair, secondContact: Bool, late delay: Duration) throws {
    if secondContact {
      let first = try pair.alice.open(to: pair.bob, at: pair.now)
      pair.settle()
      pair.alice.close(first)
      if let session = pair.bob.establishedSession { pair.bob.close(session) }
    }
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = try pair.bob.open(to: pair.alice, at: pair.now)
    let x3 = pair.round(pair.round(pair.intercept()))
    let held = x3.filter { $0.to == pair.alice.address }
    #expect(!held.isEmpty)
    // Bob leaves Alice's X3 for a resend interval.
    pair.skip(.seconds(1))
    for datagram in x3 where datagram.to == pair.bob.address { pair.deliver(datagram) }
    pair.settle()
    let alice = try #require(pair.alice.establishedSession)
    let bob = try #require(pair.bob.establishedSession)
    pair.run(for: delay)
    for datagram in held { pair.deliver(datagram) }
    pair.settle()
    #expect(pair.alice.establishedSession == alice && pair.bob.establishedSession == bob)
    #expect(pair.alice.state(alice) == "S2" && pair.bob.state(bob) == "S2")
    #expect(pair.alice.downgrades == 0 && pair.bob.downgrades == 0)
    try pair.alice.send([1], on: alice, at: pair.now)
    try pair.bob.send([2], on: bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.messages.last?.bytes == [2] && pair.bob.messages.last?.bytes == [1])
    #expect(pair.alice.store.pairs[pair.bob.publicKey] == pair.bob.store.pairs[pair.alice.publicKey])
  }

  // [DEC-45]
  /// The application is slow: it accepts the handshake when the session of the other attempt is up;
  /// or the store is, with the row that the swap will be compared with.
  @Test("a session that came up while X3 waited for an answer is not replaced", arguments: [true, false])
  func bothOpenAtOnceAndAnAnswerIsLate(applicationIsSlow: Bool) throws {
    var seed: UInt64 = 1
    var pair = try Pair(provider: FastCrypto(seed: seed))
    while pair.bob.publicKey < pair.alice.publicKey {
      seed += 1
      pair = try Pair(provider: FastCrypto(seed: seed))
    }
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = try pair.bob.open(to: pair.alice, at: pair.now)
    let hellos = pair.intercept()
    // Bob's Hello comes first, and his X3, while Alice still waits for X2.
    let x2 = pair.round(hellos)
    let x3 = pair.round(x2.filter { $0.to == pair.bob.address })
    if applicationIsSlow {
      pair.alice.decide = { _ in nil }
    } else {
      pair.alice.answerStore = { [alice = pair.alice] request in
        if case .load = request { nil } else { alice.store.answer(request) }
      }
    }
    for datagram in x3 where datagram.to == pair.alice.address { pair.deliver(datagram) }
    _ = pair.intercept()
    pair.skip(.seconds(1))
    // Now Alice's own attempt goes on, and Bob takes it.
    for datagram in x2 where datagram.to == pair.alice.address { pair.deliver(datagram) }
    pair.settle()
    let session = try #require(pair.alice.establishedSession)
    #expect(pair.alice.state(session) == "S2")
    if applicationIsSlow {
      let id = try #require(pair.alice.undecided.first?.id)
      pair.alice.answerStore = nil
      pair.alice.answer(id, .accept(.opportunistic), at: pair.now)
    } else {
      let id = try #require(pair.alice.unanswered.first?.id)
      pair.alice.answerStore = nil
      pair.alice.answer(id, .pair(pair.alice.store.pairs[pair.bob.publicKey] ?? .empty), at: pair.now)
    }
    pair.settle()
    #expect(pair.alice.establishedSession == session && pair.alice.downgrades == 0 && pair.alice.halfOpenCount == 0)
    #expect(pair.alice.statistics[.superseded] == 1)
  }

  // [DEC-12] [DEC-45]
  /// The row is read when the swap that confirms Alice's session was done, and its answer has not
  /// come.
  @Test("a session whose confirmation the store has not answered yet is not replaced")
  func confirmationWithoutAnAnswer() throws {
    let provider = FastCrypto(seed: 4)
    var pair = try Pair(provider: provider)
    while pair.bob.publicKey < pair.alice.publicKey { pair = try Pair(provider: provider) }
    let own = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = try pair.bob.open(to: pair.alice, at: pair.now)
    let x2 = pair.round(pair.intercept())
    pair.alice.decide = { _ in nil }
    let x3 = pair.round(x2.filter { $0.to == pair.bob.address })
    for datagram in x3 where datagram.to == pair.alice.address { pair.deliver(datagram) }
    _ = pair.intercept()
    pair.skip(.seconds(1))
    pair.alice.answerStore = { [alice = pair.alice] request in
      let answer = alice.store.answer(request)
      // The second swap is the one that confirms.
      if case .compareAndSwap(_, let expected, let new, _) = request, expected.state1 == new.state1 { return nil }
      return answer
    }
    for datagram in x2 where datagram.to == pair.alice.address { pair.deliver(datagram) }
    pair.settle()
    #expect(pair.alice.state(own) == "A3" && pair.bob.establishedSession != nil)
    pair.alice.answer(try #require(pair.alice.undecided.first?.id), .accept(.opportunistic), at: pair.now)
    pair.settle()
    #expect(pair.alice.halfOpenCount == 0 && pair.alice.statistics[.superseded] == 1)
    pair.alice.answer(try #require(pair.alice.unanswered.first?.id), .swapped, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(own) == "S2" && pair.alice.downgrades == 0 && pair.bob.endReasons.isEmpty)
  }

  // [DEC-71] [DEC-72]
  /// Bob's store is slow to take the outcome of a first contact. Alice has it, and begins anew by
  /// it.
  @Test(
    "a Hello that names a state which the store is taking is no stranger's, though the handshake has expired",
    arguments: [0, 12])
  func helloWhileTheStoreIsSlow(seconds: Int64) throws {
    let pair = try Pair(provider: FastCrypto(seed: 3))
    var swap: StoreRequest?
    pair.bob.answerStore = { [bob = pair.bob] request in
      guard case .compareAndSwap = request, swap == nil else { return bob.store.answer(request) }
      swap = request
      return nil
    }
    let first = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    pair.alice.close(first)
    pair.skip(.seconds(seconds))
    pair.bob.advance(to: pair.now)
    let second = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.bob.statistics[.busy] == 1 && pair.alice.state(second) == "A1")
    // The swap takes effect, and is answered.
    let answer = pair.bob.store.answer(try #require(swap))
    pair.bob.answer(try #require(pair.bob.unanswered.first?.id), answer, at: pair.now)
    pair.run(for: .seconds(5))
    #expect(pair.alice.state(second) == "S2" && pair.alice.downgrades == 0 && pair.bob.downgrades == 0)
    try expectCommonState(pair)
  }

  // [DEC-72]
  /// A store that never answers does not keep a place for ever.
  @Test("a handshake that waits for the store is forgotten in the end")
  func storeThatNeverAnswers() throws {
    let pair = try Pair(provider: FastCrypto(seed: 3))
    pair.bob.answerStore = { [bob = pair.bob] request in
      if case .compareAndSwap = request { nil } else { bob.store.answer(request) }
    }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    pair.alice.close(session)
    pair.run(for: .seconds(11))
    #expect(pair.bob.halfOpenCount == 1)
    pair.run(for: .seconds(60))
    #expect(pair.bob.halfOpenCount == 0 && pair.bob.diagnostics.requests == 0)
  }

  // [DEC-45]
  @Test("an X3 of an attempt that was abandoned before the session came up does not replace it")
  func olderAttempt() throws {
    let pair = try Pair(provider: FastCrypto(seed: 1))
    let first = try pair.alice.open(to: pair.bob, at: pair.now)
    let held = pair.round(pair.round(pair.intercept()))
    pair.alice.close(first)
    let second = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    let session = try #require(pair.bob.establishedSession)
    for datagram in held { pair.deliver(datagram) }
    pair.settle()
    #expect(pair.alice.state(second) == "S2" && pair.bob.establishedSession == session && pair.bob.downgrades == 0)
    // That the session has ended since does not revive the attempt.
    pair.bob.close(session)
    for datagram in held { pair.deliver(datagram) }
    pair.settle()
    #expect(pair.bob.sessionCount == 0 && pair.bob.downgrades == 0)
  }

  /// Both sides open at first contact, and each X3 is late. Bob takes Alice's, and answers her next
  /// Hello under what came of it. Then his own X3 comes, which is based on nothing.
  // [DEC-82]
  @Test("an X3 of a first contact is no downgrade once the peer has answered under a state", arguments: [false, true])
  func firstContactThatComesLate(hasLostItsStates: Bool) throws {
    let pair = try Pair(provider: FastCrypto(seed: 2))
    let first = try pair.alice.open(to: pair.bob, at: pair.now)
    let lateA = pair.round(pair.round(pair.intercept()))
    pair.alice.close(first)
    let second = try pair.bob.open(to: pair.alice, at: pair.now)
    let lateB = pair.round(pair.round(pair.intercept()))
    pair.bob.close(second)
    for datagram in lateA { pair.deliver(datagram) }
    pair.bob.close(try #require(pair.bob.establishedSession))
    _ = pair.intercept()
    let third = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = pair.round(pair.round(pair.intercept()))
    pair.alice.close(third)
    if hasLostItsStates {
      // An attempt that Bob begins after it is none that he has left behind.
      pair.bob.store = MemoryRatchetStore()
      try pair.bob.restart()
      _ = try pair.bob.open(to: pair.alice, at: pair.now)
      pair.settle()
      #expect(pair.alice.downgrades == 1 && pair.alice.establishedSession != nil)
    } else {
      for datagram in lateB { pair.deliver(datagram) }
      pair.settle()
      #expect(pair.alice.downgrades == 0 && pair.alice.sessionCount == 0)
      #expect(pair.alice.statistics[.superseded] == 1)
    }
    try expectCommonState(pair)
    if !hasLostItsStates { _ = try pair.alice.open(to: pair.bob, at: pair.now) }
    pair.run(for: .seconds(60))
    #expect(pair.alice.establishedSession != nil && pair.bob.establishedSession != nil)
    try expectCommonState(pair)
  }

  /// The interleaving that the Spin model of the ratchet found: in each step a packet is late, and
  /// either side opens in turn. The opener of the sixth step would forget the state that the other
  /// forgets in the seventh.
  @Test(
    "when either side opens in turn and packets are late, both hold a state in common",
    arguments: 1...40 as ClosedRange<UInt64>)
  func eitherSideOpensInTurn(seed: UInt64) throws {
    let pair = try persistentPair(FastCrypto(seed: seed))
    // 1. Alice's attempt gets as far as X3, which is late. She closes it.
    let one = try pair.alice.open(to: pair.bob, at: pair.now)
    let lateA = pair.round(pair.round(pair.intercept()))
    pair.alice.close(one)
    // 2. Bob's attempt gets as far as X3, which is late too.
    _ = try pair.bob.open(to: pair.alice, at: pair.now)
    let lateB = pair.round(pair.round(pair.intercept()))
    // 3. Bob takes Alice's X3; what he says of it is lost, and he starts again.
    pair.skip(.seconds(2))
    _ = pair.round(lateA)
    try pair.bob.restart()
    // 4. Bob opens. Alice answers; the answer is late.
    _ = try pair.bob.open(to: pair.alice, at: pair.now)
    let lateX2 = pair.round(pair.intercept())
    // 5. Bob's first X3 comes to Alice. What she says of it is lost, and she starts again.
    _ = pair.round(lateB)
    try pair.alice.restart()
    // 6. Alice opens; Bob answers, and she reads it. Then the late X2 comes to Bob.
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = pair.round(pair.round(pair.intercept()))
    _ = pair.round(lateX2)
    try expectCommonState(pair)
    pair.run(for: .seconds(3600))
    #expect(pair.alice.establishedSession != nil && pair.bob.establishedSession != nil)
  }

  @Test(
    "an acceptance that is cancelled before anything is stored leaves the older session alone",
    arguments: [true, false])
  func cancelledAcceptance(isInTime: Bool) throws {
    let pair = try Pair(provider: FastCrypto(seed: 9))
    let (old, other) = try pair.establish()
    try pair.alice.restart()
    pair.bob.decide = { _ in nil }
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    let id = try #require(pair.bob.undecided.first?.id)
    pair.bob.answerStore = { [bob = pair.bob] request in
      switch request {
      case .load where isInTime: nil
      case .compareAndSwap where !isInTime: nil
      default: bob.store.answer(request)
      }
    }
    pair.bob.answer(id, .accept(.opportunistic), at: pair.now)
    pair.settle()
    #expect(pair.bob.cancelAccept(id) == isInTime)
    #expect(pair.bob.halfOpenCount == (isInTime ? 0 : 1))
    if isInTime {
      // What the store answers now is nobody's.
      let late = try #require(pair.bob.unanswered.first?.id)
      pair.bob.answer(late, .pair(.empty), at: pair.now)
      #expect(!pair.bob.cancelAccept(id), "it is gone")
    }
    pair.settle()
    #expect(pair.bob.state(other) != nil && pair.bob.endReasons.isEmpty)
    _ = old
  }
}

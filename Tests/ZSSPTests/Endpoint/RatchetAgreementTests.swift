// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

/// Interleavings in which two persistent peers could come to have no ratchet state in common, each
/// found by the simulator and named for what went wrong.
@Suite("Ratchets stay in agreement (sections 6, 9 and 14)", .tags(.fast))
struct RatchetAgreementTests {
  /// Two peers in persistent mode that share a one-time password.
  private func persistentPair(_ provider: any CryptoProvider) throws -> Pair {
    let pair = try Pair(provider: provider, flags: .persistent)
    let password = [UInt8](repeating: 7, count: 32)
    let state = RatchetState(oneTimePassword: password.rawBytes, provider: provider)
    pair.alice.store = MemoryRatchetStore(pairs: [pair.bob.publicKey: RatchetPair(state)])
    pair.bob.store = MemoryRatchetStore(pairs: [pair.alice.publicKey: RatchetPair(state)])
    for peer in [pair.alice, pair.bob] { peer.decide = { _ in .accept(.persistent) } }
    return pair
  }

  private func expectWorking(_ pair: Pair, sourceLocation: SourceLocation = #_sourceLocation) throws {
    pair.run(for: .seconds(40))
    let session = try #require(pair.alice.establishedSession, sourceLocation: sourceLocation)
    #expect(pair.alice.state(session) == "S2", sourceLocation: sourceLocation)
    #expect(
      pair.alice.store.pairs[pair.bob.publicKey] == pair.bob.store.pairs[pair.alice.publicKey],
      sourceLocation: sourceLocation)
    #expect(pair.alice.downgrades + pair.bob.downgrades == 0, sourceLocation: sourceLocation)
  }

  /// Delivers what is on the way, one round, and returns what comes next.
  private func round(_ pair: Pair, delivering datagrams: [Datagram]) -> [Datagram] {
    for datagram in datagrams { pair.deliver(datagram) }
    return pair.intercept()
  }

  // [DEC-63] [DEC-64]
  @Test(arguments: providers)
  func aLateX3OfAnEarlierAttemptComesToNothing(provider: any CryptoProvider) throws {
    let pair = try persistentPair(provider)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    let lateX3 = round(pair, delivering: round(pair, delivering: pair.intercept()))
    // Alice starts again, and her second attempt gets as far as X2: she has forgotten what came of
    // the first.
    try pair.alice.restart()
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = round(pair, delivering: round(pair, delivering: pair.intercept()))
    for datagram in lateX3 { pair.deliver(datagram) }
    #expect(pair.bob.establishedSession == nil)
    #expect(pair.bob.statistics[.superseded] == 1)
    try expectWorking(pair)
  }

  @Test(arguments: providers)
  func resendsOfOneHelloAreOneAttempt(provider: any CryptoProvider) throws {
    let pair = try persistentPair(provider)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    let hello = pair.intercept()
    let firstX2 = round(pair, delivering: hello)
    // The Hello comes again before the answer has arrived, as with a round trip longer than the
    // resend interval.
    _ = round(pair, delivering: hello)
    for datagram in firstX2 { pair.deliver(datagram) }
    pair.settle()
    #expect(pair.bob.statistics[.superseded] == 0)
    try expectWorking(pair)
  }

  // [DEC-10] [DEC-76]
  @Test(arguments: providers)
  func aSwapThatTookEffectButWasReportedAsFailedIsNotARefusal(provider: any CryptoProvider) throws {
    let pair = try persistentPair(provider)
    var failures = 1
    pair.bob.answerStore = { [bob = pair.bob] request in
      let answer = bob.store.answer(request)
      guard case .compareAndSwap = request, failures > 0 else { return answer }
      failures -= 1
      return .failed
    }
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.run(for: .seconds(2))
    #expect(failures == 0 && pair.bob.statistics[.refused] == 0)
    try expectWorking(pair)
  }

  // [DEC-64]
  @Test(arguments: providers)
  func aK2ThatComesAfterThePeerStartedAnewDoesNotMoveTheRatchet(provider: any CryptoProvider) throws {
    let pair = try persistentPair(provider)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    let session = try #require(pair.bob.establishedSession)
    #expect(pair.bob.rekey(session, at: pair.now))
    // Alice answers K1 with K2, crashes, and starts again before K2 arrives; both her states are
    // good for a new Hello.
    let lateK2 = round(pair, delivering: pair.intercept())
    try pair.alice.restart()
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    let response = round(pair, delivering: pair.intercept())
    for datagram in lateK2 { pair.deliver(datagram) }
    for datagram in response { pair.deliver(datagram) }
    try expectWorking(pair)
  }

  // [DEC-64]
  /// The peer has not crashed here, and the new handshake is never completed.
  @Test(arguments: providers)
  func aK2DoesNotMoveTheRatchetWhenAHandshakeSinceHasExpired(provider: any CryptoProvider) throws {
    let pair = try persistentPair(provider)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.bob.rekey(try #require(pair.bob.establishedSession), at: pair.now))
    let lateK2 = round(pair, delivering: pair.intercept())
    // Alice holds what K1 came to and the state before. Her new handshake goes on from the latter.
    let second = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = round(pair, delivering: round(pair, delivering: pair.intercept()))
    #expect(pair.alice.state(second) == "A3")
    pair.skip(.seconds(11))
    pair.bob.advance(to: pair.now)
    #expect(pair.bob.halfOpenCount == 0)
    let held = pair.bob.store.pairs[pair.alice.publicKey]
    for datagram in lateK2 { pair.deliver(datagram) }
    #expect(pair.bob.store.pairs[pair.alice.publicKey] == held)
    try expectWorking(pair)
  }

  // [DEC-74] [TIME-5]
  /// Each side takes the other's attempt, for the one that is preferred gave up and the other
  /// waited long enough.
  @Test(arguments: providers)
  func attemptsInBothDirectionsThatAreBothTakenLeaveAStateInCommon(provider: any CryptoProvider) throws {
    var pair = try persistentPair(provider)
    while pair.bob.publicKey < pair.alice.publicKey { pair = try persistentPair(provider) }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = try pair.bob.open(to: pair.alice, at: pair.now)
    let completions = round(pair, delivering: round(pair, delivering: pair.intercept()))
    pair.alice.close(session)
    for datagram in completions where datagram.to == pair.alice.address { pair.deliver(datagram) }
    pair.skip(.seconds(2))
    for datagram in completions where datagram.to == pair.bob.address { pair.deliver(datagram) }
    #expect(pair.alice.establishedSession != nil && pair.bob.establishedSession != nil)
    _ = pair.intercept()
    pair.run(for: .seconds(61))
    #expect(pair.alice.sessionCount == 0 && pair.bob.sessionCount == 0)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    try expectWorking(pair)
  }

  // [DEC-75]
  /// Both open again at once afterwards: they must continue from the same of the two states that
  /// both hold.
  @Test(arguments: providers)
  func bothOpenAtOnceAfterBothAttemptsWereTaken(provider: any CryptoProvider) throws {
    var pair = try persistentPair(provider)
    while pair.bob.publicKey < pair.alice.publicKey { pair = try persistentPair(provider) }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = try pair.bob.open(to: pair.alice, at: pair.now)
    let completions = round(pair, delivering: round(pair, delivering: pair.intercept()))
    pair.alice.close(session)
    for datagram in completions where datagram.to == pair.alice.address { pair.deliver(datagram) }
    pair.skip(.seconds(2))
    for datagram in completions where datagram.to == pair.bob.address { pair.deliver(datagram) }
    _ = pair.intercept()
    try pair.alice.restart()
    try pair.bob.restart()
    let states = [pair.alice.store.pairs[pair.bob.publicKey], pair.bob.store.pairs[pair.alice.publicKey]]
    #expect(states[0]?.state1 == states[1]?.state2 && states[0]?.state2 == states[1]?.state1)
    // Both get X2, and neither gets X3.
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = try pair.bob.open(to: pair.alice, at: pair.now)
    _ = round(pair, delivering: round(pair, delivering: pair.intercept()))
    try pair.alice.restart()
    try pair.bob.restart()
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    try expectWorking(pair)
  }
}

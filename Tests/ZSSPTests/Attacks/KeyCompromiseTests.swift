// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto

/// A static key is stolen, and nothing else: in persistent mode that is not enough to pose as its
/// owner.
@Suite("Attack: key compromise", .tags(.fast), .serialized)
struct KeyCompromiseTests {
  private let provider = SwiftCryptoProvider()

  /// A persistent pair that met before, with no session at present.
  private func acquaintances() throws -> Pair {
    let pair = try Pair.persistent(provider)
    let (one, other) = try pair.establish()
    pair.alice.close(one)
    pair.bob.close(other)
    try pair.alice.restart()
    try pair.bob.restart()
    return pair
  }

  /// Returns a peer with the static key of `victim` and no ratchet, which does whatever the
  /// protocol allows.
  private func impostor(of victim: TestPeer) throws -> TestPeer {
    let configuration = EndpointConfiguration(
      staticKey: victim.configuration.staticKey, provider: provider, flags: .opportunistic, helloPolicy: .allow)
    return try TestPeer(configuration, at: mallory)
  }

  /// Lets two peers talk, without time going on, until they fall silent.
  private func talk(_ one: TestPeer, with other: TestPeer, at now: Instant) {
    var isSilent = false
    while !isSilent {
      isSilent = true
      for (from, to) in [(one, other), (other, one)] {
        for datagram in from.pump(at: now) where datagram.to == to.address {
          to.receive(datagram.bytes, from: from.address, at: now)
          isSilent = false
        }
      }
    }
  }

  // [MODE-1]
  @Test func withAlicesKeyNobodyComesIn() throws {
    let pair = try acquaintances()
    let thief = try impostor(of: pair.alice)
    let store = pair.bob.store.pairs
    let session = try thief.open(to: pair.bob, at: pair.now)
    for second in 0..<60 {
      let now = pair.now.advanced(by: .seconds(second))
      thief.advance(to: now)
      talk(thief, with: pair.bob, at: now)
    }
    #expect(pair.bob.statistics.datagramsSent == 0 && pair.bob.statistics[.unknownRatchet] == 60)
    #expect(thief.state(session) == "A1" && pair.bob.sessionCount == 0 && pair.bob.store.pairs == store)
    _ = try pair.establish()
    try pair.expectWorking()
  }

  // [MODE-3] [MODE-4] [XK-28]
  /// Bob answers strangers, but lets no known peer come back without its ratchet (π1 clear, π3
  /// set).
  @Test("with Alice's key and π1 clear, π3 keeps the thief out", arguments: [true, false])
  func pi3(isSilent: Bool) throws {
    let pair = try acquaintances()
    let flags: SecurityFlags =
      isSilent ? [.responderDisallowsDowngrade, .responderRejectsSilently] : [.responderDisallowsDowngrade]
    let bob = try TestPeer(
      EndpointConfiguration(
        staticKey: pair.bob.configuration.staticKey, provider: provider, flags: flags, helloPolicy: .allow),
      at: pair.bob.address, store: pair.bob.store)
    var asked: [AcceptRequest] = []
    bob.decide = {
      asked.append($0)
      return .accept(flags)
    }
    let thief = try impostor(of: pair.alice)
    let session = try thief.open(to: bob, at: pair.now)
    talk(thief, with: bob, at: pair.now)
    // The application sees a proved static key, and that no ratchet came with it.
    #expect(asked.map(\.peer) == [pair.alice.publicKey] && asked.map(\.hasRatchet) == [false])
    #expect(bob.sessionCount == 0 && bob.statistics[.refused] == 1 && bob.downgrades == 0)
    #expect(bob.store.pairs == pair.bob.store.pairs)
    #expect(thief.state(session) == (isSilent ? "A3" : nil))
  }

  // [MODE-6] [XK-30]
  /// The thief gets a session in opportunistic mode, and Bob's application is told of it.
  @Test func withAlicesKeyInOpportunisticModeTheDowngradeIsReported() throws {
    let pair = try Pair(provider: provider)
    pair.alice.close(try pair.establish().alice)
    let thief = try impostor(of: pair.alice)
    let session = try thief.open(to: pair.bob, at: pair.now)
    talk(thief, with: pair.bob, at: pair.now)
    #expect(thief.state(session) == "S2" && pair.bob.downgrades == 1 && thief.downgrades == 0)
  }

  // [MODE-2]
  @Test func withBobsKeyNobodyAnswersAsBob() throws {
    let pair = try acquaintances()
    let thief = try impostor(of: pair.bob)
    let store = pair.alice.store.pairs
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    // Everything that is for Bob goes to the thief, and the thief's answers come from Bob's
    // address.
    for second in 0..<60 {
      let now = pair.now.advanced(by: .seconds(second))
      pair.alice.advance(to: now)
      for datagram in pair.alice.pump(at: now) { thief.receive(datagram.bytes, from: pair.alice.address, at: now) }
      for datagram in thief.pump(at: now) { pair.alice.receive(datagram.bytes, from: pair.bob.address, at: now) }
    }
    #expect(thief.statistics.datagramsSent > 0, "it can read her Hellos and answer them")
    #expect(pair.alice.state(session) == "A1" && thief.sessionCount == 0)
    #expect(pair.alice.description(session)?.lastRestart == .notAuthentic)
    #expect(pair.alice.downgrades == 0 && pair.alice.store.pairs == store)
    pair.skip(.seconds(60))
    pair.run(for: .seconds(12))
    #expect(pair.alice.state(session) == "S2")
    try pair.expectWorking()
  }

  // [XK-20] [XK-26]
  /// An opportunistic Alice is told; and her last confirmed state is not forgotten, so that the
  /// true Bob is recognised.
  @Test func withBobsKeyInOpportunisticModeTheDowngradeIsReported() throws {
    let pair = try Pair(provider: provider)
    pair.alice.close(try pair.establish().alice)
    let thief = try impostor(of: pair.bob)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    for datagram in pair.alice.pump(at: pair.now) {
      thief.receive(datagram.bytes, from: pair.alice.address, at: pair.now)
    }
    for datagram in thief.pump(at: pair.now) {
      pair.alice.receive(datagram.bytes, from: pair.bob.address, at: pair.now)
    }
    _ = pair.intercept()
    #expect(pair.alice.state(session) == "A3" && pair.alice.downgrades == 1)
    pair.run(for: .seconds(12))
    #expect(pair.alice.state(session) == "S2" && pair.alice.chainLength(session) == 2)
    #expect(pair.alice.downgrades == 1 && pair.bob.downgrades == 0)
  }

  /// A thief with both a static key and a copy of the store lacks nothing: the limit of the claim.
  @Test func withTheRatchetTooTheThiefIsAlice() throws {
    let pair = try acquaintances()
    let thief = try impostor(of: pair.alice)
    thief.store = pair.alice.store
    let session = try thief.open(to: pair.bob, at: pair.now)
    talk(thief, with: pair.bob, at: pair.now)
    #expect(thief.state(session) == "S2")
    // And Alice finds out: her state is unknown from now on.
    let own = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.run(for: .seconds(5))
    #expect(pair.alice.state(own) == "A1" && pair.bob.statistics[.unknownRatchet] > 0)
  }
}

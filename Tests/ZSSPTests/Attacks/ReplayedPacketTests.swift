// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto

/// Every packet of a session counts once.
@Suite("Attack: replayed and spoofed packets of a session", .tags(.fast), .serialized)
struct ReplayedPacketTests {
  private let provider = SwiftCryptoProvider()

  /// The datagrams of a session in persistent mode, by time: the end of the handshake, a message,
  /// and Bob's re-key.
  private struct Tape {
    let pair: Pair
    let alice: SessionID
    let bob: SessionID
    /// Each with whom it was for.
    var packets: [(name: String, datagrams: [Datagram])] = []

    init(_ provider: any CryptoProvider, rekeys: Int) throws {
      pair = try Pair.persistent(provider)
      alice = try pair.alice.open(to: pair.bob, at: pair.now)
      let completion = pair.round(pair.round(pair.intercept()))
      let confirm = pair.round(completion)
      let acknowledge = pair.round(confirm)
      #expect(pair.round(acknowledge).isEmpty)
      bob = try #require(pair.bob.establishedSession)
      try pair.alice.send([1, 2, 3], on: alice, at: pair.now)
      let data = pair.intercept()
      #expect(pair.round(data).isEmpty)
      packets = [("C1", confirm), ("C2", acknowledge), ("data", data)]
      for number in 0..<rekeys {
        var next = pair.beginRekey(bob)
        for name in ["K1", "K2", "C1", "C2"] {
          #expect(next.count == 1)
          packets.append(("\(name) of re-key \(number)", next))
          next = pair.round(next)
        }
        #expect(next.isEmpty)
      }
      #expect(pair.alice.state(alice) == "S2" && pair.bob.state(bob) == "S2")
    }
  }

  // [CTR-3] [CTR-4]
  @Test("C1, C2, K1, K2 and data again, in S2", arguments: 0...3)
  func inS2(rekeys: Int) throws {
    let tape = try Tape(provider, rekeys: rekeys)
    let pair = tape.pair
    for (name, datagrams) in tape.packets {
      for datagram in datagrams + datagrams.from(mallory) {
        let peer = datagram.to == pair.alice.address ? pair.alice : pair.bob
        let id = peer === pair.alice ? tape.alice : tape.bob
        let before = Footing(peer, sessions: [id])
        let sent = peer.statistics.datagramsSent
        let messages = peer.messages.count
        let reception = peer.receive(datagram.bytes, from: datagram.from, at: pair.now)
        // The keys of two re-keys ago are gone, and their ids with them (section 7).
        #expect([.dropped(.replayed), .dropped(.unknownKeyID)].contains(reception), "\(name)")
        #expect(pair.intercept().isEmpty && peer.statistics.datagramsSent == sent, "\(name)")
        #expect(Footing(peer, sessions: [id]) == before && peer.messages.count == messages, "\(name)")
      }
    }
    try pair.expectWorking()
  }

  // [KK-11] [KK-12] [KK-13] [KK-14]
  /// A re-key's own packets again, while the re-key waits for the next one.
  @Test func inR1R2AndS1() throws {
    let pair = try Pair.persistent(provider)
    let (one, other) = try pair.establish()
    var next = pair.beginRekey(other)
    var seen: [Datagram] = []
    for (aliceState, bobState) in [("R2", "R1"), ("R2", "S1"), ("S2", "S1"), ("S2", "S2")] {
      seen += next
      next = pair.round(next)
      #expect(pair.alice.state(one) == aliceState && pair.bob.state(other) == bobState)
      let before = (Footing(pair.alice, sessions: [one]), Footing(pair.bob, sessions: [other]))
      let work = (pair.alice.statistics.publicKeyWork, pair.bob.statistics.publicKeyWork)
      for datagram in seen + seen.from(mallory) { pair.deliver(datagram) }
      #expect(pair.intercept().isEmpty)
      #expect(Footing(pair.alice, sessions: [one]) == before.0 && Footing(pair.bob, sessions: [other]) == before.1)
      #expect((pair.alice.statistics.publicKeyWork, pair.bob.statistics.publicKeyWork) == work)
    }
    try pair.expectWorking()
  }

  // [CTRL-2] [XK-34]
  /// C1 and X3 again while Alice waits for C1, and C1 while Bob waits for C2.
  @Test func inA3AndS1() throws {
    let pair = try Pair.persistent(provider)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    let completion = pair.round(pair.round(pair.intercept()))
    let confirm = pair.round(completion)
    let other = try #require(pair.bob.establishedSession)
    var before = Footing(pair.bob, sessions: [other])
    #expect(pair.round(completion + completion.from(mallory)).isEmpty, "X3 is for a half-open handshake that is over")
    #expect(Footing(pair.bob, sessions: [other]) == before)
    let acknowledge = pair.round(confirm)
    #expect(pair.alice.state(session) == "S2" && acknowledge.count == 1)
    before = Footing(pair.alice, sessions: [session])
    #expect(pair.round(confirm + confirm.from(mallory)).isEmpty)
    #expect(Footing(pair.alice, sessions: [session]) == before)
    _ = pair.round(acknowledge)
    try pair.expectWorking()
  }

  /// Alice in A3, and what Bob's refusal looks like.
  private func refused() throws -> (pair: Pair, session: SessionID, rejection: [Datagram]) {
    let pair = try Pair(provider: provider)
    pair.bob.decide = { _ in .reject(silently: false) }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    let rejection = pair.round(pair.round(pair.round(pair.intercept())))
    #expect(pair.alice.state(session) == "A3" && rejection.count == 1)
    return (pair, session, rejection)
  }

  // [CTRL-5]
  @Test func aSpoofedDDoesNotEndAnAttempt() throws {
    let (pair, session, rejection) = try refused()
    let before = Footing(pair.alice, sessions: [session])
    // Of another handshake, under its own key id and under that of this one.
    let (_, _, foreign) = try refused()
    var renamed = foreign[0]
    renamed.bytes.replaceSubrange(0..<4, with: rejection[0].bytes[0..<4])
    var forgeries = [foreign[0], renamed]
    for bit in 0..<rejection[0].bytes.count * 8 { forgeries.append(rejection[0].flipped(bit / 8, bit % 8)) }
    for length in 0..<rejection[0].bytes.count {
      forgeries.append(Datagram(from: mallory, to: pair.alice.address, bytes: Array(rejection[0].bytes.prefix(length))))
    }
    for forgery in forgeries {
      guard case .dropped = pair.alice.receive(forgery.bytes, from: forgery.from, at: pair.now) else {
        Issue.record("a spoofed D was taken")
        continue
      }
    }
    #expect(pair.intercept().isEmpty && Footing(pair.alice, sessions: [session]) == before)
    #expect(pair.alice.endReasons == [])
    pair.deliver(rejection[0])
    #expect(pair.alice.endReasons == [.rejected])
  }

  @Test func aTrueDComesTooLateForTheNextAttempt() throws {
    let (pair, session, rejection) = try refused()
    pair.skip(.seconds(10))
    pair.alice.advance(to: pair.now)
    pair.bob.decide = { _ in .accept(.opportunistic) }
    let hello = pair.intercept()
    #expect(pair.alice.state(session) == "A1")
    for datagram in rejection {
      #expect(pair.alice.receive(datagram.bytes, from: datagram.from, at: pair.now) == .dropped(.unknownKeyID))
    }
    for datagram in hello { pair.deliver(datagram) }
    pair.run(for: .seconds(2))
    #expect(pair.alice.endReasons == [] && pair.alice.state(session) == "S2")
  }

  // [CHAL-10] [CHAL-12]
  /// A challenge repeats the proof of the Hello; whoever has not seen the Hello must guess 64 bits.
  /// See also `ChallengeTests`: `aSpoofedChallengeIsIgnored`, and
  /// `aStolenAnswerIsWorthNothingElsewhere` for an answer that another address sends.
  @Test func aReplayedChallengeChangesNothing() throws {
    let pair = try Pair(provider: provider, helloPolicy: .challenge)
    let first = try pair.alice.open(to: pair.bob, at: pair.now)
    let challenge = pair.round(pair.intercept())
    #expect(challenge.count == 1 && challenge[0].bytes.count == 52)
    pair.alice.close(first)
    let second = try pair.alice.open(to: pair.bob, at: pair.now)
    let hello = pair.intercept()
    let before = Footing(pair.alice, sessions: [second])
    let work = pair.alice.statistics.publicKeyWork
    // Of the earlier Hello, as it was and under the new one's key id; and before and after the true
    // one.
    var renamed = challenge[0]
    renamed.bytes.replaceSubrange(16..<20, with: hello[0].bytes[16..<20])
    for datagram in [challenge[0], renamed] { pair.deliver(datagram) }
    #expect(pair.alice.statistics[.unexpectedChallenge] == 2 && pair.alice.statistics.publicKeyWork == work)
    let right = pair.round(hello)
    #expect(pair.round(right).isEmpty, "an answer waits for the next resend")
    #expect(pair.alice.statistics.publicKeyWork == work + 1)
    for _ in 0..<10 { pair.deliver(right[0]) }
    #expect(pair.alice.statistics.publicKeyWork == work + 1, "one proof of work for one challenge")
    #expect(pair.intercept().isEmpty && Footing(pair.alice, sessions: [second]) == before)
    pair.run(for: .seconds(2))
    #expect(pair.alice.state(second) == "S2")
    for datagram in right + [renamed] { pair.deliver(datagram) }
    #expect(pair.alice.statistics.publicKeyWork == work + 2, "X2, and no other proof of work")
  }
}

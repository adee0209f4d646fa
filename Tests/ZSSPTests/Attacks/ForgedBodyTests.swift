// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

/// Header protection covers sixteen bytes of a fragment. Whoever sees an X2 or X3 on its way can
/// put anything behind its header, and be there first; that must not do more than losing the packet
/// would (section 14).
@Suite("Attack: forged bodies of X2 and X3", .tags(.fast))
struct ForgedBodyTests {
  private let provider = FastCrypto(seed: 0x17)
  private let bound = Settings().bodiesPerHandshake

  private func restarts(_ peer: TestPeer) -> [RestartReason] {
    peer.events.compactMap { if case .restarted(_, let reason) = $0 { reason } else { nil } }
  }

  /// Alice in A1, X2 on its way.
  private func response(_ pair: Pair) throws -> (session: SessionID, response: [Datagram]) {
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    return (session, pair.round(pair.intercept()))
  }

  /// Alice in A3, X3 on its way, in one fragment or in three.
  private func completion(_ pair: Pair, identity: Int) throws -> (session: SessionID, completion: [Datagram]) {
    let session = try pair.alice.open(to: pair.bob, identity: [UInt8](repeating: 7, count: identity), at: pair.now)
    return (session, pair.round(pair.round(pair.intercept())))
  }

  /// Returns the datagram with another last byte, which neither header protection nor the packet
  /// nonce covers.
  private func forged(_ datagram: Datagram) -> Datagram { datagram.flipped(datagram.bytes.count - 1) }

  // [DEC-2] [DEC-4]
  @Test("X2: the genuine one is taken after one forged body less than the bound")
  func forgedResponses() throws {
    let pair = try Pair(provider: provider)
    let (session, response) = try response(pair)
    let work = pair.alice.statistics.publicKeyWork
    let before = Footing(pair.alice, sessions: [session])
    for number in 1..<bound {
      for datagram in [forged(response[0]), response[1]] { pair.deliver(datagram) }
      #expect(pair.alice.statistics.publicKeyWork - work == UInt64(number) && pair.intercept().isEmpty)
      #expect(Footing(pair.alice, sessions: [session]) == before, "not even a timer has moved")
    }
    #expect(bound == 4 && pair.alice.statistics[.notAuthentic] == UInt64(bound - 1))
    for datagram in response { pair.deliver(datagram) }
    pair.settle()
    #expect(restarts(pair.alice) == [])
    try pair.expectWorking()
  }

  // [DEC-1] [DEC-4]
  @Test("X2: the last body that may be read and is forged restarts the attempt, which has as many again")
  func tooManyForgedResponses() throws {
    let pair = try Pair(provider: provider)
    var (session, response) = try response(pair)
    for attempt in 1...3 {
      for number in 1...bound {
        #expect(restarts(pair.alice).count == attempt - 1, "body \(number)")
        for datagram in [forged(response[0]), response[1]] { pair.deliver(datagram) }
      }
      #expect(restarts(pair.alice) == Array(repeating: .notAuthentic, count: attempt))
      #expect(pair.alice.description(session)?.lastRestart == .notAuthentic)
      if attempt > 1 {
        // Further failures in a row wait.
        #expect(pair.intercept().isEmpty)
        pair.skip(.seconds(1))
        pair.alice.advance(to: pair.now)
      }
      response = pair.round(pair.intercept())
    }
    for datagram in response { pair.deliver(datagram) }
    pair.settle()
    try pair.expectWorking()
  }

  // [DEC-6] [TIME-2]
  @Test("X2: an attempt that gets nothing but forged bodies until its time is over is reported as not authentic")
  func timeout() throws {
    var settings = Settings()
    settings.bodiesPerHandshake = 100
    let pair = try Pair(provider: provider, settings: settings)
    let (session, response) = try response(pair)
    for datagram in [forged(response[0]), response[1]] { pair.deliver(datagram) }
    #expect(pair.alice.description(session)?.lastRestart == .notAuthentic, "before the restart, for short time limits")
    for _ in 0..<10 {
      #expect(restarts(pair.alice) == [] && pair.alice.state(session) == "A1")
      pair.skip(.seconds(1))
      pair.alice.advance(to: pair.now)
      _ = pair.intercept()
    }
    #expect(restarts(pair.alice) == [.notAuthentic])
    // Without any answer it is a timeout.
    for _ in 0..<10 {
      pair.skip(.seconds(1))
      pair.alice.advance(to: pair.now)
      _ = pair.intercept()
    }
    #expect(restarts(pair.alice) == [.notAuthentic, .timeout])
  }

  // [DEC-7]
  /// The parts of a forged body are dropped. The rest of the genuine X2 is not enough, but the next
  /// X2 is.
  @Test(
    "X2: a forged fragment among genuine ones costs this X2, as if it were lost, and nothing more", arguments: [0, 1])
  func mixedResponse(place: Int) throws {
    let pair = try Pair(provider: provider)
    let (session, response) = try response(pair)
    // The forged one is there first, so that the genuine one is a duplicate or comes late.
    var mixed = response
    mixed.insert(forged(response[place]), at: place)
    for datagram in mixed { pair.deliver(datagram) }
    #expect(pair.alice.statistics[.notAuthentic] == 1 && pair.alice.state(session) == "A1")
    pair.skip(.seconds(1))
    pair.alice.advance(to: pair.now)
    pair.settle()
    #expect(restarts(pair.alice) == [])
    pair.run(for: .seconds(12))
    try pair.expectWorking()
  }

  // [DEC-8]
  @Test("X2: a fragment of another size is refused at once, and shuts nothing out", arguments: [-9, -1, 1, 9])
  func responseOfAnotherSize(difference: Int) throws {
    let pair = try Pair(provider: provider)
    let (session, response) = try response(pair)
    for place in 0..<2 {
      var changed = response[place]
      if difference < 0 {
        changed.bytes.removeLast(-difference)
      } else {
        changed.bytes += [UInt8](repeating: 0, count: difference)
      }
      #expect(pair.alice.receive(changed.bytes, from: mallory, at: pair.now) == .dropped(.malformed))
    }
    for datagram in response { pair.deliver(datagram) }
    #expect(pair.alice.state(session) == "A3")
    pair.settle()
    try pair.expectWorking()
  }

  // [DEC-3] [DEC-4] [XK-27]
  @Test("X3: the genuine one is taken after one forged body less than the bound", arguments: [0, 3000])
  func forgedCompletions(identity: Int) throws {
    let pair = try Pair(provider: provider)
    let (_, completion) = try completion(pair, identity: identity)
    let work = pair.bob.statistics.publicKeyWork
    for number in 1..<bound {
      for datagram in completion.dropLast() + [forged(completion[completion.count - 1])] {
        pair.deliver([datagram].from(mallory)[0])
      }
      #expect(pair.bob.statistics.publicKeyWork - work == UInt64(number) && pair.intercept().isEmpty)
      #expect(pair.bob.halfOpenCount == 1 && pair.bob.diagnostics.reassemblyBytes == 0)
    }
    #expect(pair.bob.statistics[.notAuthentic] == UInt64(bound - 1))
    for datagram in completion { pair.deliver(datagram) }
    pair.settle()
    #expect(pair.bob.diagnostics.halfOpen == 0)
    try pair.expectWorking()
  }

  // [DEC-4]
  @Test("X3: the last body that may be read and is forged ends the handshake")
  func tooManyForgedCompletions() throws {
    let pair = try Pair(provider: provider)
    let (session, completion) = try completion(pair, identity: 0)
    for _ in 0..<bound {
      #expect(pair.bob.halfOpenCount == 1)
      pair.deliver(forged(completion[0]))
    }
    #expect(pair.bob.halfOpenCount == 0 && pair.bob.diagnostics.keyIDs == 0 && pair.bob.diagnostics.timers == 0)
    let reception = pair.bob.receive(completion[0].bytes, from: pair.alice.address, at: pair.now)
    #expect(reception == .dropped(.unknownKeyID))
    pair.run(for: .seconds(11))
    #expect(pair.alice.state(session) == "S2")
    try pair.expectWorking()
  }

  // [DEC-7]
  @Test("X3: a forged fragment among genuine ones costs this copy of X3, and the next is taken", arguments: 0..<3)
  func mixedCompletion(place: Int) throws {
    let pair = try Pair(provider: provider)
    let (_, completion) = try completion(pair, identity: 3000)
    #expect(completion.count == 3)
    var mixed = completion
    mixed.insert(forged(completion[place]), at: place)
    for datagram in mixed { pair.deliver(datagram) }
    #expect(pair.bob.halfOpenCount == 1 && pair.bob.statistics[.notAuthentic] == 1)
    pair.skip(.seconds(1))
    pair.alice.advance(to: pair.now)
    pair.settle()
    #expect(restarts(pair.alice) == [])
    try pair.expectWorking()
  }

  // [DEC-9]
  /// The first fragment to come says what sizes the others have. A forged one must not say so for
  /// as long as it is kept.
  @Test("X3: a forged fragment of another size does not shut the genuine ones out", arguments: [-9, 9], 0..<3)
  func completionOfAnotherSize(difference: Int, place: Int) throws {
    let pair = try Pair(provider: provider)
    let (_, completion) = try completion(pair, identity: 3000)
    var changed = completion[place]
    if difference < 0 {
      changed.bytes.removeLast(-difference)
    } else {
      changed.bytes += [UInt8](repeating: 0, count: difference)
    }
    pair.deliver([changed].from(mallory)[0])
    #expect(pair.bob.diagnostics.reassemblyBytes > 0)
    for datagram in completion { pair.deliver(datagram) }
    pair.settle()
    #expect(pair.bob.countsReassemblyRight)
    try pair.expectWorking()
  }

  // [DEC-5]
  @Test("while a body is being read others are dropped, and taken when they come again")
  func busy() throws {
    let pair = try Pair(provider: provider)
    let (_, completion) = try completion(pair, identity: 0)
    // The work is done when requests are answered, not before.
    #expect(pair.bob.receive(forged(completion[0]).bytes, from: mallory, at: pair.now) == .handled)
    #expect(pair.bob.receive(completion[0].bytes, from: pair.alice.address, at: pair.now) == .dropped(.busy))
    #expect(pair.intercept().isEmpty)
    pair.deliver(completion[0])
    pair.settle()
    try pair.expectWorking()
  }

  // [DEC-11]
  @Test("an X3 for which the driver is too busy can come again")
  func refusedWork() throws {
    let pair = try Pair(provider: provider)
    let (_, completion) = try completion(pair, identity: 0)
    pair.bob.isTooBusy = { $0 == .completionReceived }
    for _ in 0..<10 { pair.deliver(completion[0]) }
    #expect(pair.bob.statistics[.busy] == 10 && pair.bob.halfOpenCount == 1, "no body was read")
    pair.bob.isTooBusy = { _ in false }
    pair.deliver(completion[0])
    pair.settle()
    try pair.expectWorking()
  }

  // [DEC-1] [TIME-11]
  /// A ratchet that does not fit makes every genuine X2 fail: the peer's own fault, not a forger's.
  @Test("answers that never fit are reported as not authentic, and the Hellos keep their pace")
  func neverFits() throws {
    let pair = try Pair(provider: provider)
    let state = RatchetState(oneTimePassword: [UInt8](repeating: 7, count: 32).rawBytes, provider: provider)
    pair.alice.store = MemoryRatchetStore(pairs: [pair.bob.publicKey: RatchetPair(state)])
    let session = try pair.alice.open(to: pair.bob, flags: .persistent, at: pair.now)
    let start = pair.now
    pair.run(for: .milliseconds(2_999))
    #expect(restarts(pair.alice) == [] && pair.alice.statistics[.notAuthentic] == 3)
    pair.run(for: .milliseconds(1))
    #expect(restarts(pair.alice).first == .notAuthentic)
    pair.run(for: .seconds(57))
    #expect(restarts(pair.alice).allSatisfy { $0 == .notAuthentic } && restarts(pair.alice).count >= 10)
    // One X2 a second, and one more for the first restart.
    #expect(pair.alice.statistics[.notAuthentic] <= 62 && start.duration(to: pair.now) == .seconds(60))
    #expect(pair.alice.state(session) == "A1")
  }
}

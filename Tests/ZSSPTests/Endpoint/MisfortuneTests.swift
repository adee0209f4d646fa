// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

/// Stores that fail, drivers that are too busy, packets that stay incomplete, ends that differ.
@Suite("Misfortunes of a handshake and a re-key", .tags(.fast))
struct MisfortuneTests {
  private let provider = FastCrypto(seed: 1)

  // [FRAG-11] [FRAG-16]
  @Test func anIncompleteX3IsDroppedAfterFiveSecondsAndTheHandshakeStays() throws {
    let pair = try Pair(provider: provider)
    _ = try pair.alice.open(to: pair.bob, identity: [UInt8](repeating: 7, count: 4000), at: pair.now)
    for _ in 0..<2 { for datagram in pair.intercept() { pair.deliver(datagram) } }
    let completion = pair.intercept()
    #expect(completion.count == 4)
    pair.deliver(completion[0])
    pair.skip(.milliseconds(4999))
    pair.bob.advance(to: pair.now)
    #expect(pair.bob.statistics[.reassemblyTimeout] == 0)
    pair.skip(.milliseconds(1))
    pair.bob.advance(to: pair.now)
    #expect(pair.bob.statistics[.reassemblyTimeout] == 1 && pair.bob.halfOpenCount == 1)
    for datagram in completion { pair.deliver(datagram) }
    #expect(pair.bob.establishedSession != nil)
  }

  // [CHAL-13]
  @Test func thePolicyForHellosCanBeChanged() throws {
    let pair = try Pair(provider: provider)
    #expect(pair.bob.helloPolicy == .allow)
    pair.bob.helloPolicy = .drop
    #expect(pair.bob.helloPolicy == .drop)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.bob.statistics[.overBudget] == 1 && pair.bob.statistics.publicKeyWork == 0)
    pair.bob.helloPolicy = .allow
    pair.run(for: .seconds(1))
    #expect(pair.alice.state(session) == "S2")
  }

  @Test func workThatIsRefusedLeavesNothingBehind() throws {
    let pair = try Pair(provider: provider)
    pair.bob.isTooBusy = { $0 == .helloReceived }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.bob.statistics[.busy] == 1)
    #expect(pair.bob.halfOpenCount == 0 && pair.bob.diagnostics.timers == 0 && pair.bob.diagnostics.requests == 0)
    pair.bob.isTooBusy = { _ in false }
    pair.run(for: .seconds(1))
    #expect(pair.alice.state(session) == "S2")
  }

  // [KK-16] [PROF-2] [PROF-3]
  @Test("Ends of different profiles part at K2 (section 13)")
  func profilesThatDifferInTheRekey() throws {
    let pair = try Pair(provider: provider, profile: .kyber1024, bobProfile: .upstream)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "S2" && pair.alice.rekey(session, at: pair.now))
    pair.settle()
    #expect(pair.alice.endReasons == [.rekeyNotAuthentic] && pair.alice.statistics[.notAuthentic] == 1)
    #expect(pair.alice.diagnostics.keyIDs == 0)
  }

  // [DEC-12]
  @Test("The re-key of one's own waits while the peer's K1 is being worked on")
  func aRekeyThatComesWhileThePeersIsUnderWay() throws {
    var settings = Settings()
    settings.rekeyAfter = .seconds(100)
    settings.rekeyJitter = .zero
    let pair = try Pair(provider: provider, settings: settings)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    let answered = try #require(pair.bob.establishedSession)
    pair.skip(.seconds(99))
    // Bob's store does not answer, so he neither sends K2 nor begins a re-key when his own timer
    // fires.
    pair.bob.answerStore = { _ in nil }
    #expect(pair.alice.rekey(session, at: pair.now))
    pair.settle()
    pair.skip(.seconds(1))
    pair.bob.advance(to: pair.now)
    #expect(pair.bob.state(answered) == "S2")
    #expect(pair.bob.stateTimers(answered)?.state == pair.now.advanced(by: settings.resendInterval))
    #expect(!pair.bob.rekey(answered, at: pair.now))
  }

  // [RAT-8] [RAT-9]
  /// The answer of Bob's store to the request that fails, and his reason to drop.
  @Test(
    "A responder's store that fails or was changed by another",
    arguments: [
      (StoreStep.lookUp, StoreAnswer.failed, DropReason.storeFailed),
      (.swap, .notSwapped, .ratchetConflict),
    ])
  func theResponderStore(step: StoreStep, answer: StoreAnswer, reason: DropReason) throws {
    let pair = try Pair(provider: provider)
    let first = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    pair.alice.close(first)
    var failures = 1
    pair.bob.answerStore = { [bob = pair.bob] request in
      guard step.isAsked(request), failures > 0 else { return bob.store.answer(request) }
      failures -= 1
      return answer
    }
    let second = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(failures == 0 && pair.bob.statistics[reason] == 1 && pair.bob.halfOpenCount == 0)
    pair.run(for: .seconds(60))
    #expect(pair.alice.state(second) == "S2")
  }

  enum StoreStep {
    case lookUp, swap

    func isAsked(_ request: StoreRequest) -> Bool {
      switch (self, request) {
      case (.lookUp, .lookUp), (.swap, .compareAndSwap): true
      default: false
      }
    }
  }

  // [DEC-66] [DEC-67]
  /// A swap took effect between the look-up and the reading of the row. The peer is known all the
  /// same, and no stranger: to go on with the empty state would be a downgrade that is none.
  @Test func aPeerWhoseStateIsGoneWhenItsRowIsReadIsNoStranger() throws {
    let pair = try Pair(provider: provider)
    let first = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    pair.alice.close(first)
    // Long enough that the endpoint does not remember what was stored of late.
    pair.run(for: .seconds(300))
    pair.bob.answerStore = { [bob = pair.bob] request in
      if case .load = request { .pair(.empty) } else { bob.store.answer(request) }
    }
    let second = try pair.alice.open(to: pair.bob, at: pair.now)
    for datagram in pair.intercept() { pair.deliver(datagram) }
    #expect(pair.intercept().isEmpty && pair.bob.halfOpenCount == 0 && pair.bob.statistics[.busy] == 1)
    // The Hello comes again.
    pair.bob.answerStore = nil
    pair.run(for: .seconds(5))
    #expect(pair.alice.state(second) == "S2" && pair.alice.downgrades == 0 && pair.bob.downgrades == 0)
  }

  /// The time comes with each datagram, perhaps before the timer was looked at.
  @Test("an X3 that comes when B2 is over is not read, though the timer is late", arguments: [false, true])
  func completionAfterExpiry(isOver: Bool) throws {
    let pair = try Pair(provider: provider)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    let completion = pair.round(pair.round(pair.intercept()))
    let work = pair.bob.statistics.publicKeyWork
    pair.skip(.seconds(10) - (isOver ? .zero : .nanoseconds(1)))
    for datagram in completion { pair.deliver(datagram) }
    #expect(pair.bob.sessionCount == (isOver ? 0 : 1))
    #expect(pair.bob.statistics.publicKeyWork - work == (isOver ? 0 : 1))
    #expect(pair.bob.statistics[.unknownKeyID] == (isOver ? UInt64(completion.count) : 0))
  }

  /// Alice names two states. While the store revokes the one that Bob does not hold, his row
  /// changes.
  @Test("the state that X2 leaves behind is revoked, though the row changed while another was")
  func rowThatChangesWhileAStateIsRevoked() throws {
    let pair = try Pair(provider: provider)
    let states = [1, 2].map { byte in
      RatchetState(oneTimePassword: [UInt8](repeating: byte, count: 32).rawBytes, provider: provider)
    }
    pair.alice.store = MemoryRatchetStore(pairs: [pair.bob.publicKey: RatchetPair(states[0], states[1])])
    pair.bob.store = MemoryRatchetStore(pairs: [pair.alice.publicKey: RatchetPair(states[0])])
    var revoked: [Fingerprint] = []
    pair.bob.answerStore = { [bob = pair.bob] request in
      guard case .revoke(let name, _) = request else { return bob.store.answer(request) }
      revoked.append(name)
      return .pair(RatchetPair(states[1]), revision: UInt64(revoked.count))
    }
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    #expect(!pair.round(pair.intercept()).isEmpty, "X2")
    #expect(revoked == [states[1].fingerprint, states[0].fingerprint])
  }

  // [XK-13]
  @Test func twoFingerprintsOfWhichNeitherIsKnown() throws {
    let pair = try Pair(provider: provider)
    let first = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    // A re-key of Bob's that ends with K2 leaves two states with Alice.
    #expect(pair.bob.rekey(try #require(pair.bob.establishedSession), at: pair.now))
    for datagram in pair.intercept() { pair.deliver(datagram) }
    _ = pair.intercept()
    #expect(pair.alice.store.pairs[pair.bob.publicKey]?.state2 != nil)
    pair.alice.close(first)
    try pair.bob.restart()
    pair.bob.store = MemoryRatchetStore()
    let second = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(second) == "S2" && pair.alice.downgrades == 1)
  }

  // [CTRL-6] [FRAG-8]
  @Test("Errors say what is wrong and how much would be right")
  func descriptions() throws {
    let pair = try Pair(provider: provider)
    #expect(throws: OpenError.identityTooLong(4097)) {
      _ = try pair.alice.open(to: pair.bob, identity: [UInt8](repeating: 0, count: 4097), at: pair.now)
    }
    #expect("\(OpenError.identityTooLong(4097))".contains("4097") && "\(OpenError.invalidPeerKey)".contains("P-384"))
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    #expect(throws: SendError.notEstablished) { try pair.alice.send([1], on: session, at: pair.now) }
    pair.settle()
    let limit = Settings().largestMessage
    #expect(throws: SendError.messageTooLarge(size: limit + 1, limit: limit)) {
      try pair.alice.send([UInt8](repeating: 0, count: limit + 1), on: session, at: pair.now)
    }
    #expect("\(SendError.messageTooLarge(size: 9, limit: 8))".contains("8 bytes"))
    pair.alice.close(session)
    #expect(throws: SendError.unknownSession) { try pair.alice.send([1], on: session, at: pair.now) }
  }
}

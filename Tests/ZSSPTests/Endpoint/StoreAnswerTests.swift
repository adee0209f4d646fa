// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

/// Every question that an endpoint asks its store, and everything that can become of the answer
/// (section 9): the pair comes up in any case, or comes up again, in persistent mode, where nothing
/// may be lost.
@Suite("Answers of the store", .tags(.fast))
struct StoreAnswerTests {
  /// The questions of a handshake, and of a re-key that Bob begins, in the order in which each side
  /// asks them.
  ///
  /// Both sides hold a newest state that the other does not know, and one in common, as after
  /// attempts that came to nothing. So Bob looks up two fingerprints, revokes the state of the
  /// first, and has a state to drop when C2 comes.
  enum Question: String, CaseIterable {
    case aliceLoads, aliceStoresCompletion, aliceStoresConfirmation
    case bobLooksUp, bobVerifies, bobRevokes, bobLoads, bobStores, bobStoresAcknowledgement
    case aliceStoresRekeyAnswer, bobStoresRekeyCompletion, aliceStoresRekeyConfirmation

    var isAlices: Bool { rawValue.hasPrefix("alice") }
    /// The number of questions that the same side asked before.
    var number: Int {
      switch self {
      case .aliceLoads, .bobLooksUp: 0
      case .aliceStoresCompletion, .bobVerifies: 1
      case .aliceStoresConfirmation, .bobRevokes: 2
      case .aliceStoresRekeyAnswer, .bobLoads: 3
      case .aliceStoresRekeyConfirmation, .bobStores: 4
      case .bobStoresAcknowledgement: 5
      case .bobStoresRekeyCompletion: 6
      }
    }
    var isOfTheRekey: Bool { rawValue.contains("Rekey") }

    /// Returns true if `request` is a question of this kind.
    func isAsked(by request: StoreRequest) -> Bool {
      switch (request, self) {
      case (.lookUp, .bobLooksUp): true
      case (.load, .aliceLoads), (.load, .bobVerifies), (.load, .bobLoads), (.revoke, .bobRevokes): true
      case (.compareAndSwap, _): rawValue.contains("Stores")
      default: false
      }
    }
  }

  enum Fate: CaseIterable {
    /// The store failed and did nothing.
    case failed
    /// The store did it, and said that it had failed.
    case failedAfterwards
    /// The question is lost.
    case never
    /// The store did it, and the answer is lost.
    case answerLost
    /// The store did it; the answer comes when whoever asked has long gone on, or is gone.
    case late
    /// The answer comes twice.
    case twice
    /// The answer is one to another question.
    case unfitting
  }

  /// A pair that is asked about, with the fate of one answer.
  private final class Stage {
    let pair: Pair
    let question: Question
    let fate: Fate
    private(set) var isAsked = false
    /// The answer that is given late.
    private(set) var held: (id: RequestID, answer: StoreAnswer)?
    private var counts = [0, 0]
    private var heldAnswer: StoreAnswer?
    private var session: SessionID?

    init(_ question: Question, fate: Fate, seed: UInt64) throws {
      self.question = question
      self.fate = fate
      let provider = FastCrypto(seed: seed)
      pair = try Pair.persistent(provider)
      func state(_ mark: UInt8) -> RatchetState {
        let password = [UInt8](repeating: mark, count: 32)
        return RatchetState(oneTimePassword: password.rawBytes, provider: provider)
      }
      pair.alice.store = .init(pairs: [pair.bob.publicKey: RatchetPair(state(1), state(7))])
      pair.bob.store = .init(pairs: [pair.alice.publicKey: RatchetPair(state(2), state(7))])
      for (peer, isAlice) in [(pair.alice, true), (pair.bob, false)] {
        peer.answerStore = { [unowned self, unowned peer] in answer($0, of: peer, isAlice: isAlice) }
      }
    }

    private func answer(_ request: StoreRequest, of peer: TestPeer, isAlice: Bool) -> StoreAnswer? {
      defer { counts[isAlice ? 0 : 1] += 1 }
      peer.repeatsAnswers = false
      guard isAlice == question.isAlices, counts[isAlice ? 0 : 1] == question.number, !isAsked else {
        return peer.store.answer(request)
      }
      isAsked = question.isAsked(by: request)
      #expect(isAsked, "\(question) is another question")
      switch fate {
      case .failed: return .failed
      case .failedAfterwards:
        _ = peer.store.answer(request)
        return .failed
      case .never: return nil
      case .answerLost, .late:
        heldAnswer = peer.store.answer(request)
        return nil
      case .twice:
        peer.repeatsAnswers = true
        return peer.store.answer(request)
      case .unfitting:
        if case .compareAndSwap = request { return .unknown }
        return .swapped
      }
    }

    /// The one who asked.
    var asker: TestPeer { question.isAlices ? pair.alice : pair.bob }

    /// Alice's application opens a session whenever it has none; Bob's listens.
    func run(for duration: Duration) throws {
      let end = pair.now.advanced(by: duration)
      while pair.now < end {
        if session.flatMap(pair.alice.state) == nil { session = try pair.alice.open(to: pair.bob, at: pair.now) }
        pair.run(for: .seconds(1))
      }
    }

    func rekey() {
      if let session = pair.bob.establishedSession { _ = pair.bob.rekey(session, at: pair.now) }
      pair.settle()
    }

    /// Gives the answer that was held back, and expects that nobody takes note.
    func answerLate() throws {
      let id = try #require(asker.unanswered.first?.id)
      let answer = try #require(heldAnswer)
      let before = (asker.diagnostics, asker.statistics, asker.events.count)
      for answer in [answer, .failed, .notSwapped, .swapped] { asker.answer(id, answer, at: pair.now) }
      let sent = asker.pump(at: pair.now)
      #expect(sent.isEmpty && asker.diagnostics == before.0 && asker.statistics == before.1)
      #expect(asker.events.count == before.2)
    }
  }

  // [DEC-10] [DEC-13] [RAT-9]
  @Test(arguments: Question.allCases, Fate.allCases)
  func whateverBecomesOfOneAnswer(_ question: Question, _ fate: Fate) throws {
    let stage = try Stage(question, fate: fate, seed: 0x57)
    let pair = stage.pair
    try stage.run(for: .seconds(1))
    if question.isOfTheRekey { #expect(pair.bob.establishedSession != nil) }
    stage.rekey()
    if fate == .twice {
      // The second answer is nobody's.
      #expect(pair.alice.statistics[.storeFailed] + pair.bob.statistics[.storeFailed] == 0)
      #expect(pair.alice.statistics[.ratchetConflict] + pair.bob.statistics[.ratchetConflict] == 0)
      let session = try #require(pair.alice.establishedSession)
      #expect(pair.alice.description(session)?.statistics.rekeys == 1)
    }
    // Until every state that could still be there has come to its timeout: R1 after S2's wait for
    // the answer.
    try stage.run(for: .seconds(90))
    #expect(stage.isAsked)
    if fate == .failed || fate == .failedAfterwards || fate == .unfitting {
      #expect(stage.asker.statistics[.storeFailed] == 1)
    }
    if fate == .late { try stage.answerLate() }
    // Sessions that the other side has lost by now are replaced at the next one.
    if let session = pair.alice.establishedSession, pair.bob.sessionCount == 0 { pair.alice.close(session) }
    try stage.run(for: .seconds(15))
    #expect(pair.alice.diagnostics.requests == 0 && pair.bob.diagnostics.requests == 0)
    try pair.expectWorking()
  }
}

// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
@testable import ZSSP

@Suite("Challenges and proof of work", .tags(.fast))
struct ChallengeTests {
  private let alice = Address(ipv4: 0x0A00_0001, port: 1111)
  private let mallory = Address(ipv4: 0x0A00_0666, port: 666)

  // [CHAL-1] [CHAL-5] [CHAL-11]
  @Test(
    "recorded proofs are found from their starts",
    arguments: providers, try vectors("unit")["challenge"]["cases"].array)
  func recorded(_ provider: any CryptoProvider, _ vector: JSON) throws {
    let recorded = try vector["challenge_32"].bytes
    let startBytes = try vector["pow_start_be"].bytes
    let challenge = ChallengeResponse(recorded.rawBytes)
    let start = startBytes.rawBytes.load(UInt64.self, at: 0)
    let response = ProofOfWork.solve(challenge, from: start, provider: provider)
    #expect(response.bytes == (try vector["response_32"].bytes))
    #expect(ProofOfWork.holds(response, provider: provider))
    #expect(!ProofOfWork.holds(response.with(proof: response.proof &- 1), provider: provider))
  }

  // [CHAL-3] [CHAL-4] [CHAL-5] [CHAL-6] [CHAL-9]
  @Test(arguments: providers)
  func anAnswerIsGoodOnceAndForItsAddressOnly(provider: any CryptoProvider) {
    let bob = Responder(provider)
    let challenge = bob.issue(to: alice, proof: 7)
    #expect(challenge.proof == 7)
    let answer = ProofOfWork.solve(challenge, from: 0, provider: provider)
    #expect(!bob.redeem(answer, from: mallory), "another address")
    #expect(!bob.redeem(answer.with(proof: answer.proof &+ 1), from: alice), "no work")
    #expect(bob.redeem(answer, from: alice))
    #expect(!bob.redeem(answer, from: alice), "used")
  }

  // [DEC-50]
  @Test(arguments: providers)
  func anAnswerOutlivesOneRotationOfTheSalt(provider: any CryptoProvider) {
    let bob = Responder(provider)
    let answers = (0..<3).map { _ in bob.answer(from: alice) }
    #expect(bob.redeem(answers[0], from: alice))
    bob.now = bob.now.advanced(by: ChallengeIssuer.saltLifetime)
    #expect(bob.redeem(answers[1], from: alice))
    #expect(!bob.redeem(answers[0], from: alice), "used before the rotation")
    bob.now = bob.now.advanced(by: ChallengeIssuer.saltLifetime)
    #expect(!bob.redeem(answers[2], from: alice), "two rotations are too many")
    #expect(bob.redeemedCount == 0)
  }

  // [DEC-50]
  @Test(
    "bug: a salt that was rotated late began its second lifetime anew, so that answers were good for three",
    arguments: providers)
  func aLateRotationDoesNotProlongASalt(provider: any CryptoProvider) {
    let bob = Responder(provider)
    let answer = bob.answer(from: alice)
    bob.now = bob.now.advanced(by: ChallengeIssuer.saltLifetime + .seconds(59))
    #expect(!bob.redeem(answer, from: mallory), "rotates the salts, a moment before both are too old")
    bob.now = bob.now.advanced(by: .seconds(1))
    #expect(!bob.redeem(answer, from: alice))
  }

  // [DEC-49]
  @Test(arguments: providers)
  func noNumberOfStrangersMakesAnHonestAnswerStale(provider: any CryptoProvider) {
    let bob = Responder(provider)
    let answer = bob.answer(from: alice)
    for _ in 0..<10_000 { _ = bob.issue(to: mallory, proof: 0) }
    #expect(bob.redeem(answer, from: alice))
  }

  // [DEC-49] [DEC-50]
  @Test("a salt with 65,536 answers is rotated early, and an honest answer outlives that once")
  func anEarlyRotation() {
    let bob = Responder(EasyWork(seed: 7))
    let answers = (0..<2).map { _ in bob.answer(from: alice) }
    func fill() {
      for _ in 0..<ChallengeIssuer.redeemedLimit { _ = bob.redeem(bob.answer(from: mallory), from: mallory) }
    }
    fill()
    #expect(bob.redeemedCount == ChallengeIssuer.redeemedLimit)
    // The next that is issued or redeemed rotates.
    #expect(bob.redeem(answers[0], from: alice) && !bob.redeem(answers[0], from: alice))
    fill()
    #expect(!bob.redeem(answers[1], from: alice), "two rotations")
    #expect(bob.redeemedCount == ChallengeIssuer.redeemedLimit, "the first set is gone")
  }

  // [CHAL-8] [CHAL-12]
  @Test(arguments: providers)
  func theAnswerGoesOutWithTheNextResend(provider: any CryptoProvider) throws {
    let pair = try Pair(provider: provider, helloPolicy: .challenge)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "A1" && pair.bob.statistics[.challenged] == 1)
    #expect(pair.bob.statistics.publicKeyWork == 0)
    pair.run(for: .milliseconds(999))
    #expect(pair.alice.state(session) == "A1")
    pair.run(for: .milliseconds(1))
    #expect(pair.alice.state(session) == "S2")
    #expect(pair.bob.statistics[.challenged] == 1)
  }

  // [CHAL-4] [CHAL-7] [CHAL-8]
  @Test(arguments: providers)
  func aStolenAnswerIsWorthNothingElsewhere(provider: any CryptoProvider) throws {
    let pair = try Pair(provider: provider, helloPolicy: .challenge)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    pair.skip(.seconds(1))
    pair.alice.advance(to: pair.now)
    let answered = pair.intercept()
    for datagram in answered { pair.bob.receive(datagram.bytes, from: mallory, at: pair.now) }
    let replies = pair.intercept()
    #expect(replies.allSatisfy { $0.to == mallory && $0.bytes.count == 52 } && replies.count == 1)
    #expect(pair.bob.statistics.publicKeyWork == 0)
    for datagram in answered { pair.deliver(datagram) }
    pair.settle()
    #expect(pair.alice.state(session) == "S2")
  }

  // [CHAL-10]
  @Test(arguments: providers)
  func aSpoofedChallengeIsIgnored(provider: any CryptoProvider) throws {
    let pair = try Pair(provider: provider)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    let hello = pair.intercept()
    // The key id is in the clear, the proof is not known to who has not seen the Hello.
    var forged = [UInt8](repeating: 0, count: 52)
    forged[5] = 1
    forged[7] = 9
    forged.replaceSubrange(16..<20, with: hello[0].bytes[16..<20])
    #expect(pair.alice.receive(forged, from: pair.bob.address, at: pair.now) == .dropped(.unexpectedChallenge))
    let work = pair.alice.statistics.publicKeyWork
    for datagram in hello { pair.deliver(datagram) }
    pair.settle()
    #expect(pair.alice.state(session) == "S2" && work == 1)
  }

  // [CHAL-14] [DEC-56] [DEC-58]
  @Test(arguments: providers)
  func withPi1TheAutomaticPolicyStaysSilent(provider: any CryptoProvider) throws {
    var budget = HelloBudget()
    budget.unchallenged = HelloBudget.assumedTime
    budget.challenged = HelloBudget.assumedTime
    let pair = try Pair(provider: provider, flags: .persistent, helloPolicy: .automatic(budget))
    for _ in 0..<5 {
      let session = try pair.alice.open(to: pair.bob, at: pair.now)
      for datagram in pair.intercept() { pair.deliver(datagram) }
      pair.alice.close(session)
    }
    // One is read at once, one in its turn, one waits, and others from its address meanwhile are
    // dropped.
    #expect(pair.bob.statistics.datagramsSent == 0 && pair.bob.diagnostics.waitingHellos == 1)
    #expect(pair.bob.statistics[.unknownRatchet] == 2 && pair.bob.statistics[.busy] == 2)
    pair.run(for: .seconds(1))
    #expect(pair.bob.statistics.datagramsSent == 0 && pair.bob.statistics[.unknownRatchet] == 3)
  }
}

/// The parts of a responder that have to do with challenges, and a clock.
private final class Responder {
  var now = Instant.milliseconds(0)
  private let provider: any CryptoProvider
  private var issuer: ChallengeIssuer

  init(_ provider: any CryptoProvider) {
    self.provider = provider
    issuer = ChallengeIssuer(salt: provider.random(32))
  }

  var redeemedCount: Int { issuer.redeemedCount }

  func issue(to source: Address, proof: UInt64) -> ChallengeResponse {
    issuer.issue(to: source, proof: proof, provider: provider, at: now)
  }

  /// A challenge to `source`, solved.
  func answer(from source: Address) -> ChallengeResponse {
    ProofOfWork.solve(issue(to: source, proof: 0), from: 0, provider: provider)
  }

  func redeem(_ response: ChallengeResponse, from source: Address) -> Bool {
    issuer.redeem(response, from: source, provider: provider, at: now)
  }
}

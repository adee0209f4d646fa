// SPDX-License-Identifier: Apache-2.0
public import ZSSP
import ZSSPNIO

/// Compares the initiator's cost of proving work for a challenged Hello to the responder's cost of
/// reading and answering it (section 8). An attacker should pay at least as much.
public enum ChallengeBenchmark {
  private static let client = Address(ipv4: 0x0A00_0001, port: 1)
  private static let server = Address(ipv4: 0x0A00_0002, port: 2)
  /// The number of proofs per round. Their times vary randomly.
  private static let perRound = 32

  /// Measures the mean time of proofs, beside that of two uses: a Hello that any stranger can make,
  /// for which the responder computes one agreement, and one made with the responder's key, which
  /// is answered.
  ///
  /// - Throws: ``EndpointLink/Broken`` if a Hello is not answered.
  public static func run(_ provider: any CryptoProvider, effort: BenchmarkEffort = .init()) throws -> [Figure] {
    var proofs = [Double]()
    var reads = [Double]()
    var answers = [Double]()
    for _ in 0..<effort.rounds {
      var sum = Costs()
      for _ in 0..<perRound { sum.add(try measure(provider)) }
      proofs.append(sum.proof / .nanoseconds(perRound))
      reads.append(sum.read / .nanoseconds(perRound))
      answers.append(sum.answer / .nanoseconds(perRound))
    }
    return [
      Figure(
        "challenge", name: "prove the work for a Hello", rounds: proofs, unit: "ns", bound: ("reading it", reads),
        higherIsBetter: true),
      Figure(
        "challenge", name: "prove the work for a genuine Hello", rounds: proofs, unit: "ns",
        bound: ("reading and answering it", answers), higherIsBetter: true),
    ]
  }

  private struct Costs {
    var proof = Duration.zero
    var read = Duration.zero
    var answer = Duration.zero

    mutating func add(_ other: Costs) {
      proof += other.proof
      read += other.read
      answer += other.answer
    }
  }

  /// Runs one Hello, its challenge, the proof and the repeated Hello, up to the response.
  private static func measure(_ provider: any CryptoProvider) throws -> Costs {
    var now = Instant(nanoseconds: 1_000_000_000)
    func endpoint(_ provider: some CryptoProvider) throws -> Endpoint {
      try Endpoint(
        EndpointConfiguration(
          staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .challenge))
    }
    var alice = try endpoint(provider)
    var bob = try endpoint(provider)
    var costs = Costs()
    _ = try alice.open(to: bob.publicKey, at: server, now: now)
    pumpInitiator(&alice, costs: &costs, at: now)
    transfer(from: &alice, to: &bob, source: client, at: now)
    transfer(from: &bob, to: &alice, source: server, at: now)
    pumpInitiator(&alice, costs: &costs, at: now)
    // The proof is sent with the next regular repetition.
    now = now.advanced(by: .seconds(1))
    alice.advance(to: now)
    let start = ThreadClock.now
    transfer(from: &alice, to: &bob, source: client, at: now)
    while let request = bob.nextRequest() {
      guard case .work(let work) = request else { break }
      bob.complete(work.run(), at: now)
      if work.kind == .helloReceived { costs.read = ThreadClock.now - start }
    }
    costs.answer = ThreadClock.now - start
    guard costs.proof > .zero, costs.read > .zero, costs.answer > costs.read, bob.halfOpenCount == 1 else {
      throw EndpointLink.Broken(description: "a challenged Hello was not answered")
    }
    return costs
  }

  private static func pumpInitiator(_ alice: inout Endpoint, costs: inout Costs, at now: Instant) {
    while let request = alice.nextRequest() {
      switch request {
      case .store(let id, _): alice.answer(id, store: .pair(.empty), at: now)
      case .accept(let id, _): alice.answer(id, accept: .reject(silently: true), at: now)
      case .work(let work):
        let start = ThreadClock.now
        let result = work.run()
        if work.kind == .proofOfWork { costs.proof += ThreadClock.now - start }
        alice.complete(result, at: now)
      }
    }
  }

  private static func transfer(
    from sender: inout Endpoint, to receiver: inout Endpoint, source: Address, at now: Instant
  ) {
    for run in sender.outbox.runs {
      var bytes = sender.outbox.bytes.extracting(run.range).withUnsafeBytes { Array($0) }
      bytes.withUnsafeMutableBytes { buffer in
        var burst = MutableRawSpan(_unsafeBytes: buffer)
        receiver.receive(burst: &burst, segmentSize: run.segmentSize, from: source, at: now)
      }
    }
    sender.outbox.removeAll()
  }
}

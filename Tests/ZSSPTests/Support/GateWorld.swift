// SPDX-License-Identifier: Apache-2.0
@testable import ZSSP

/// The parts of a responder that decide which Hellos are read, a clock, and work that takes what it
/// is said to take.
final class GateWorld {
  let provider = EasyWork(seed: 3)
  private(set) var now = Instant.milliseconds(1_000)
  var gate: HelloGate
  var issuer: ChallengeIssuer
  /// The time that an item of work takes; nil if it is unknown.
  var cost: Duration?
  /// True if items of work end as soon as they begin.
  var worksAtOnce = true
  /// The sources of Hellos that were read, in order.
  private(set) var read: [Address] = []
  private(set) var evicted = 0
  private(set) var expired = 0

  init(
    _ policy: HelloPolicy = .automatic(), isSilent: Bool = false, workLimit: Int = Settings().helloWorkLimit,
    patience: Duration = Settings().handshakeTimeout / 2
  ) {
    gate = HelloGate(
      policy: policy, isSilent: isSilent, workLimit: workLimit, patience: patience, salt: provider.random(32))
    issuer = ChallengeIssuer(salt: provider.random(32))
  }

  /// A Hello comes with a response, and all that can be read is read.
  @discardableResult
  func receive(_ response: ChallengeResponse, from source: Address) -> HelloGate.Verdict {
    let hello = [UInt8](repeating: 0, count: PacketSize.helloWithoutChallenge) + response.bytes
    let verdict = gate.admit(hello, from: source, issuer: &issuer, provider: provider, at: now)
    if case .read(let allowance) = verdict { work(for: source, allowance) }
    if case .wait(evicting: true) = verdict { evicted += 1 }
    readWaiting()
    return verdict
  }

  /// A Hello comes without an answer to a challenge.
  @discardableResult
  func receive(from source: Address) -> HelloGate.Verdict { receive(.unchallenged(proof: 1), from: source) }

  /// A challenge to `source`, solved.
  func answer(from source: Address) -> ChallengeResponse {
    ProofOfWork.solve(
      issuer.issue(to: source, proof: 0, provider: provider, at: now), from: 0, provider: provider)
  }

  /// Lets time go on, from deadline to deadline.
  func run(for duration: Duration) {
    let end = now.advanced(by: duration)
    while let deadline = gate.nextDeadline, deadline <= end { wake(at: deadline) }
    now = end
  }

  /// Lets time go on, and notices only then.
  func skip(_ duration: Duration) { wake(at: now.advanced(by: duration)) }

  private func wake(at time: Instant) {
    now = max(now, time)
    expired += gate.expire(at: now)
    readWaiting()
  }

  func readWaiting() {
    while let item = gate.next(at: now) { work(for: item.address, .challenged) }
  }

  private func work(for source: Address, _ allowance: HelloGate.Allowance) {
    read.append(source)
    gate.workBegan()
    guard worksAtOnce else { return }
    gate.workEnded()
    if let cost { gate.charge(cost - HelloBudget.assumedTime, to: allowance, at: now) }
  }
}

/// A host that says Hello, and solves what it is asked to.
struct GateHost {
  let address: Address
  private var response = ChallengeResponse.unchallenged(proof: 5)

  init(_ address: Address) { self.address = address }

  /// Says Hello once.
  mutating func sayHello(to world: GateWorld) {
    if case .challenge = world.receive(response, from: address) { response = world.answer(from: address) }
  }
}

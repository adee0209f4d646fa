// SPDX-License-Identifier: Apache-2.0
@testable import ZSSP
@testable import ZSSPSimulator

/// Challenges (section 8): what the issuer redeems was issued, to that address, not long ago, and
/// only once; what was issued is redeemed; the gate keeps to its budget, and reads once what it has
/// let wait.
func fuzz(_ input: inout FuzzInput) {
  var budget = HelloBudget()
  (budget.unchallenged, budget.challenged) = (
    HelloBudget.assumedTime * input.below(8), HelloBudget.assumedTime * input.below(8)
  )
  budget.perSource = input.below(8)
  let isSilent = input.flag()
  let provider = FreeWork()
  var world = ChallengeWorld(budget: budget, isSilent: isSilent, provider: provider)
  while !input.isEmpty { world.step(&input) }
}

/// Stand-in cryptography under which a proof of work is an even number, so that the fuzzer can do
/// the work.
private struct FreeWork: DerivedProvider {
  let base: any CryptoProvider = SeededProvider(StandInCrypto(), seed: 2, stream: 0)

  func hash(_ first: RawSpan, _ second: RawSpan) -> Digest {
    let digest = base.hash(first, second)
    guard first.byteCount == PacketSize.challenge, second.byteCount == 0 else { return digest }
    return Digest { $0.store(first[byte: PacketSize.challenge - 1] & 1, at: 0) }
  }
}

private struct ChallengeWorld {
  private struct Issued {
    let response: ChallengeResponse
    let source: Address
    let time: Instant
    var isRedeemed = false
  }

  private let budget: HelloBudget
  private let isSilent: Bool
  private let provider: FreeWork
  private var issuer: ChallengeIssuer
  private var gate: HelloGate
  private var issued: [Issued] = []
  private var redeemed = 0
  private var admitted: [Instant] = []
  private var waiting = 0
  private var now = Instant.milliseconds(0)

  init(budget: HelloBudget, isSilent: Bool, provider: FreeWork) {
    (self.budget, self.isSilent, self.provider) = (budget, isSilent, provider)
    issuer = ChallengeIssuer(salt: provider.random(32))
    gate = HelloGate(
      policy: .automatic(budget), isSilent: isSilent, workLimit: 32, patience: .seconds(5), salt: provider.random(32))
  }

  mutating func step(_ input: inout FuzzInput) {
    switch input.byte() % 6 {
    case 0:
      let step = input.integer(UInt16.self)
      now = now.advanced(by: input.flag() ? .milliseconds(Int64(step)) : .seconds(Int64(step & 255)))
      waiting -= gate.expire(at: now)
      readWaiting()
    case 1: issue(to: source(&input), proof: input.integer(UInt64.self))
    case 2, 3: redeem(&input)
    case 4: judge(&input)
    default: readAndWrite(&input)
    }
    expect(issuer.redeemedCount <= redeemed, "only what was redeemed is remembered")
  }

  private func source(_ input: inout FuzzInput) -> Address {
    let choice = input.byte()
    let host = UInt32(choice & 7)
    return choice & 8 == 0 ? Address(ipv4: host, port: 1) : Address(ipv6: UInt64(host), UInt64(choice), port: 2)
  }

  private mutating func issue(to source: Address, proof: UInt64) {
    let response = issuer.issue(to: source, proof: proof, provider: provider, at: now)
    expect(response.proof == proof, "a challenge repeats the proof")
    expect(response.counter == UInt64(issued.count), "each challenge has a counter of its own")
    issued.append(Issued(response: response, source: source, time: now))
  }

  /// A response made of one that was issued, with or without faults, or of nothing.
  private func response(_ input: inout FuzzInput) -> (ChallengeResponse, Address, index: Int?) {
    let proof = input.integer(UInt16.self)
    guard !issued.isEmpty, input.byte() & 7 != 0 else {
      let bytes = input.bytes(PacketSize.challenge)
      let padded = bytes + [UInt8](repeating: 0, count: PacketSize.challenge - bytes.count)
      return (ChallengeResponse(padded.rawBytes), source(&input), nil)
    }
    let index = input.below(issued.count)
    var bytes = issued[index].response.with(proof: UInt64(proof)).bytes
    var source = issued[index].source
    var isGenuine = true
    switch input.byte() & 7 {
    case 0:
      let flip = input.byte()
      bytes[input.below(24)] ^= flip
      isGenuine = flip == 0
    case 1:
      let other = self.source(&input)
      isGenuine = other == source
      source = other
    default: break
    }
    return (ChallengeResponse(bytes.rawBytes), source, isGenuine ? index : nil)
  }

  private mutating func redeem(_ input: inout FuzzInput) {
    let (response, source, index) = response(&input)
    let isGood = issuer.redeem(response, from: source, provider: provider, at: now)
    note(response, index, isGood)
  }

  private mutating func note(_ response: ChallengeResponse, _ index: Int?, _ isGood: Bool) {
    guard let index else { return expect(!isGood, "only what was issued is redeemed") }
    let age = issued[index].time.duration(to: now)
    if isGood {
      expect(!issued[index].isRedeemed, "a challenge is redeemed once")
      expect(response.proof & 1 == 0, "there is a proof of work")
      expect(age < ChallengeIssuer.saltLifetime * 2, "an old challenge is worth nothing")
      issued[index].isRedeemed = true
      redeemed += 1
    } else if response.proof & 1 == 0, !issued[index].isRedeemed {
      expect(age >= ChallengeIssuer.saltLifetime, "a fresh challenge is redeemed")
    }
  }

  private mutating func judge(_ input: inout FuzzInput) {
    let (response, source, index) = response(&input)
    // Lets the salts rotate if they must, so that the count tells whether the gate redeems.
    _ = issuer.redeem(.unchallenged(proof: 0), from: source, provider: provider, at: now)
    let before = issuer.redeemedCount
    let hello = [UInt8](repeating: 0, count: PacketSize.helloWithoutChallenge) + response.bytes
    let verdict = gate.admit(hello, from: source, issuer: &issuer, provider: provider, at: now)
    if issuer.redeemedCount > before {
      expect(verdict == .wait(evicting: false), "what was redeemed has a place")
      note(response, index, true)
    }
    if isSilent { expect(verdict != .challenge, "no challenge breaks silence") }
    switch verdict {
    case .read: admit()
    case .wait: waiting += 1
    case .challenge, .drop: break
    }
    readWaiting()
  }

  private mutating func readWaiting() {
    while gate.next(at: now) != nil {
      waiting -= 1
      admit()
    }
    expect(gate.waiting == waiting, "\(gate.waiting) wait, and not \(waiting)")
    if let deadline = gate.nextDeadline { expect(deadline > now, "what is due is done") }
  }

  private mutating func admit() {
    admitted.append(now)
    let recent = admitted.count { $0.duration(to: now) < .seconds(1) }
    let allowed = (budget.unchallenged + budget.challenged) / HelloBudget.assumedTime
    expect(Double(recent) <= 2 * allowed, "\(recent) Hellos in a second for a budget of \(allowed)")
  }

  private func readAndWrite(_ input: inout FuzzInput) {
    let bytes = input.bytes(PacketSize.challenge)
    guard bytes.count == PacketSize.challenge else { return }
    expect(ChallengeResponse(bytes.rawBytes).bytes == bytes, "a response is written as it was read")
  }
}

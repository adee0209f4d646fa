// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

/// Turns, limits and deadlines of Hellos that wait.
@Suite("Hellos that wait for their turn", .tags(.fast))
struct HelloQueueTests {
  private func address(_ host: UInt32, port: UInt16 = 1) -> Address { Address(ipv4: host, port: port) }

  /// A world in which nothing is read before its time: no Hello without an answer, and no time left
  /// for the others.
  private func busyWorld(patience: Duration = .seconds(5)) -> GateWorld {
    var budget = HelloBudget()
    budget.unchallenged = .zero
    budget.challenged = HelloBudget.assumedTime
    let world = GateWorld(.automatic(budget), patience: patience)
    let first = address(0xFF00_0001)
    #expect(world.receive(world.answer(from: first), from: first) == .wait(evicting: false))
    #expect(world.read == [first])
    return world
  }

  @discardableResult
  private func enqueue(_ world: GateWorld, from source: Address) -> HelloGate.Verdict {
    world.receive(world.answer(from: source), from: source)
  }

  /// A network and a host of it, as (a, b) in 10.a.0.b.
  private func host(_ network: UInt32, host: UInt32, port: UInt16 = 1) -> Address {
    address(0x0A00_0000 + network << 16 + host, port: port)
  }

  // [DEC-59]
  @Test(
    "networks take turns, and in each of them hosts, and of each the first comes first",
    arguments: [
      ([(1, 1, 1), (2, 1, 1), (3, 1, 1)], [0, 1, 2]),
      // The second of a network comes after the first of all others.
      ([(1, 1, 1), (1, 2, 1), (2, 1, 1), (3, 1, 1)], [0, 2, 3, 1]),
      // The second port of a host comes after the first of the network's other hosts.
      ([(1, 1, 1), (1, 1, 2), (1, 2, 1)], [0, 2, 1]),
      ([(1, 1, 1), (1, 1, 2), (1, 1, 3), (2, 1, 1), (2, 1, 2)], [0, 3, 1, 4, 2]),
    ] as [([(UInt32, UInt32, UInt16)], [Int])])
  func turns(_ arrivals: [(UInt32, UInt32, UInt16)], order: [Int]) {
    let world = busyWorld(patience: .seconds(100))
    let sources = arrivals.map { host($0, host: $1, port: $2) }
    for source in sources { #expect(enqueue(world, from: source) == .wait(evicting: false)) }
    for _ in sources {
      let before = world.read.count
      // One a second, and not a moment before.
      world.run(for: .seconds(1) - .nanoseconds(1))
      #expect(world.read.count == before)
      world.run(for: .nanoseconds(1))
      #expect(world.read.count == before + 1)
    }
    #expect(Array(world.read.dropFirst()) == order.map { sources[$0] })
    #expect(world.gate.nextDeadline == nil && world.gate.waiting == 0)
  }

  @Test("one that comes while others wait is read when each of them has had one turn")
  func newcomers() {
    let world = busyWorld(patience: .seconds(100))
    for port in 1...8 as ClosedRange<UInt16> {
      for network in 1...3 as ClosedRange<UInt32> { enqueue(world, from: host(network, host: 1, port: port)) }
    }
    world.run(for: .seconds(5))
    let newcomer = host(9, host: 1)
    enqueue(world, from: newcomer)
    world.run(for: .seconds(4))
    #expect(world.read.last == newcomer)
  }

  // [DEC-17]
  @Test("the prefixes: 24 and 32 bits, 48 and 64, and IPv4 within IPv6")
  func sources() {
    let cases: [(Address, Address, sameHost: Bool, sameNetwork: Bool)] = [
      (address(0x0A00_0001, port: 1), address(0x0A00_0001, port: 2), true, true),
      (address(0x0A00_0001), address(0x0A00_00FF), false, true),
      (address(0x0A00_0001), address(0x0A00_0101), false, false),
      (Address(ipv6: 0x20 << 56, 1, port: 1), Address(ipv6: 0x20 << 56, .max, port: 2), true, true),
      (Address(ipv6: 0x20 << 56, 1, port: 1), Address(ipv6: 0x20 << 56 + 1, 1, port: 1), false, true),
      (Address(ipv6: 0x20 << 56, 1, port: 1), Address(ipv6: 0x20 << 56 + 0xFFFF, 1, port: 1), false, true),
      (Address(ipv6: 0x20 << 56, 1, port: 1), Address(ipv6: 0x20 << 56 + 0x1_0000, 1, port: 1), false, false),
      (Address(ipv6: 0, 0xFFFF_0A00_0001, port: 1), address(0x0A00_0001), true, true),
      (Address(ipv6: 0, 0xFFFF_0A00_0001, port: 1), Address(ipv6: 0, 0xFFFF_0B00_0001, port: 1), false, false),
      (Address(ipv6: 0x0064_FF9B_0000_0000, 0x0A00_0001, port: 1), address(0x0A00_0002), false, true),
      (Address(ipv6: 0, 0x0A00_0001, port: 1), address(0x0A00_0001), false, false),
    ]
    for (one, other, sameHost, sameNetwork) in cases {
      let left = HelloSource(one)
      let right = HelloSource(other)
      #expect((left.host == right.host, left.network == right.network) == (sameHost, sameNetwork), "\(one) \(other)")
    }
  }

  // [DEC-58]
  @Test("a Hello that waits and comes again costs no hash and changes nothing")
  func repeats() {
    let world = busyWorld()
    let source = host(1, host: 1)
    let answer = world.answer(from: source)
    #expect(world.receive(answer, from: source) == .wait(evicting: false))
    let hashes = world.provider.hashes
    let redeemed = world.issuer.redeemedCount
    for _ in 0..<1_000 { #expect(world.receive(answer, from: source) == .drop(.busy)) }
    #expect(world.provider.hashes == hashes && world.issuer.redeemedCount == redeemed && world.gate.waiting == 1)
    // Once it is read its answer is used, which two hashes show.
    world.run(for: .seconds(1))
    let after = world.provider.hashes
    #expect(world.receive(answer, from: source) == .challenge)
    #expect(world.provider.hashes == after + 2 && world.read.count == 2)
  }

  // [DEC-51] [DEC-60] [DEC-61]
  @Test("an answer is redeemed exactly when its Hello gets a place", arguments: [1, 2, 3])
  func answersWithoutAPlace(_ extra: Int) {
    let world = busyWorld(patience: .seconds(100))
    let answers = (0..<HelloQueue.hostLimit + extra).map { port in
      let source = host(1, host: 1, port: UInt16(port + 1))
      return (source, world.answer(from: source))
    }
    let verdicts = answers.map { world.receive($1, from: $0) }
    let dropped = Array(repeating: HelloGate.Verdict.drop(.overBudget), count: extra)
    #expect(verdicts == Array(repeating: .wait(evicting: false), count: HelloQueue.hostLimit) + dropped)
    #expect(world.issuer.redeemedCount == HelloQueue.hostLimit + 1)
    // A place is free: the answer is as good as new.
    world.run(for: .seconds(1))
    let (source, answer) = answers[HelloQueue.hostLimit]
    #expect(world.receive(answer, from: source) == .wait(evicting: false))
  }

  // [DEC-60]
  @Test("a full queue takes more from no network than from others")
  func fullQueue() {
    let world = busyWorld(patience: .seconds(1_000))
    // One network has all places.
    for number in 0..<UInt32(HelloQueue.limit) {
      #expect(enqueue(world, from: host(1, host: number / 8, port: UInt16(number % 8 + 1))) == .wait(evicting: false))
    }
    #expect(world.gate.waiting == HelloQueue.limit)
    #expect(enqueue(world, from: host(1, host: 200)) == .drop(.overBudget), "its own network has most")
    // Another gets up to as many.
    for number in 0..<UInt32(HelloQueue.limit / 2) {
      #expect(
        enqueue(world, from: host(2, host: number / 8, port: UInt16(number % 8 + 1))) == .wait(evicting: true),
        "\(number)")
    }
    #expect(enqueue(world, from: host(2, host: 200)) == .drop(.overBudget))
    #expect(enqueue(world, from: host(3, host: 1)) == .wait(evicting: true))
    #expect(world.gate.waiting == HelloQueue.limit && world.evicted == HelloQueue.limit / 2 + 1)
  }

  // [DEC-60]
  @Test("networks that have one place each keep it")
  func fullOfNetworks() {
    let world = busyWorld(patience: .seconds(1_000))
    for number in 0..<UInt32(HelloQueue.limit) { enqueue(world, from: address(number << 8)) }
    #expect(enqueue(world, from: address(0x0B00_0000)) == .drop(.overBudget))
    world.run(for: .seconds(1))
    #expect(enqueue(world, from: address(0x0B00_0000)) == .wait(evicting: false))
  }

  // [DEC-58]
  @Test("a Hello waits for 5 s, to the nanosecond")
  func patience() {
    var budget = HelloBudget()
    budget.unchallenged = .zero
    budget.challenged = .zero
    let world = GateWorld(.automatic(budget))
    enqueue(world, from: host(1, host: 1))
    let end = world.now.advanced(by: .seconds(5))
    world.run(for: .seconds(1))
    enqueue(world, from: host(2, host: 1))
    #expect(world.gate.nextDeadline == end)
    world.run(for: .seconds(4) - .nanoseconds(1))
    #expect((world.expired, world.gate.waiting) == (0, 2))
    world.run(for: .nanoseconds(1))
    #expect((world.expired, world.gate.waiting) == (1, 1))
    world.run(for: .seconds(1))
    #expect((world.expired, world.gate.waiting) == (2, 0) && world.gate.nextDeadline == nil && world.read.isEmpty)
  }

  @Test("whoever notices an hour late finds all of them expired, and goes on as new")
  func anHourLate() {
    let world = busyWorld()
    for number in 1...4 as ClosedRange<UInt32> { enqueue(world, from: host(number, host: 1)) }
    world.skip(.seconds(3_600))
    #expect((world.expired, world.gate.waiting, world.read.count) == (4, 0, 1))
    enqueue(world, from: host(1, host: 1))
    #expect(world.read.count == 2)
  }

  // [CHAL-13]
  @Test(
    "a budget that is changed or taken away holds for those that wait",
    arguments: [HelloPolicy.allow, .challenge, .drop])
  func changedPolicy(_ policy: HelloPolicy) {
    let world = busyWorld()
    for number in 1...4 as ClosedRange<UInt32> { enqueue(world, from: host(number, host: 1)) }
    world.gate.policy = policy
    world.run(for: .seconds(5))
    #expect((world.read.count, world.expired) == (policy == .drop ? (1, 4) : (5, 0)))
  }
}

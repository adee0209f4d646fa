// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSPRandom

@testable import ZSSP

/// The budget decides which Hellos are read at once and which are challenged, and pays for the
/// work.
@Suite("The Hello budget", .tags(.fast))
struct HelloBudgetTests {
  private let alice = Address(ipv4: 0x0A00_0001, port: 1111)

  /// Hosts in networks of their own.
  private func stranger(_ number: Int) -> Address { Address(ipv4: 0x0B00_0000 + UInt32(number) << 8, port: 1) }

  // [DEC-52] [DEC-54] [DEC-55]
  @Test("of the default, 50 Hellos are read at once and 100 after a challenge, at the assumed time")
  func defaults() {
    let world = GateWorld()
    let first = (0..<60).map { world.receive(from: stranger($0)) }
    #expect(first == Array(repeating: .read(.unchallenged), count: 50) + Array(repeating: .challenge, count: 10))
    for number in 0..<110 { world.receive(world.answer(from: stranger(number)), from: stranger(number)) }
    #expect(world.read.count == 150 && world.gate.waiting == 10)
    // What the budget brings in a moment: one of each kind every 20 and 10 ms.
    world.run(for: .milliseconds(10) - .nanoseconds(1))
    #expect(world.read.count == 150)
    world.run(for: .nanoseconds(1))
    #expect(world.read.count == 151 && world.receive(from: stranger(200)) == .challenge)
    world.run(for: .milliseconds(10))
    #expect(
      world.receive(from: stranger(200)) == .read(.unchallenged) && world.receive(from: stranger(201)) == .challenge)
  }

  // [DEC-53]
  @Test("one host has 25 Hellos a second read without a challenge, whatever its ports", arguments: [25, 4, 1, 0])
  func perSource(_ limit: Int) {
    var budget = HelloBudget()
    budget.perSource = limit
    let world = GateWorld(.automatic(budget))
    let verdicts = (1...40).map { world.receive(from: Address(ipv4: 1, port: UInt16($0))) }
    #expect(
      verdicts == Array(repeating: .read(.unchallenged), count: limit)
        + Array(repeating: .challenge, count: 40 - limit))
    #expect(world.receive(from: alice) == (limit > 0 ? .read(.unchallenged) : .challenge))
    // After a challenge there is no limit for a host but its turns.
    for port in 1...60 as ClosedRange<UInt16> {
      let source = Address(ipv4: 1, port: port)
      world.receive(world.answer(from: source), from: source)
    }
    #expect(world.read.count == limit + (limit > 0 ? 1 : 0) + 60)
  }

  // [DEC-52] [DEC-54] [DEC-55]
  /// The items that a second pays for, and those that the second before has left.
  @Test(
    "work is paid for with the time that it took",
    arguments: [
      (nil, 150), (.milliseconds(2), 150), (.microseconds(500), 600), (.milliseconds(20), 15), (.milliseconds(1), 300),
    ] as [(Duration?, Int)])
  func timeSpent(_ cost: Duration?, perSecond: Int) {
    let world = GateWorld()
    world.cost = cost
    var number = 0
    func flood(for ticks: Int) {
      for _ in 0..<ticks {
        world.run(for: .milliseconds(1))
        number += 1
        world.receive(from: stranger(number % 5_000))
        world.receive(world.answer(from: stranger(number % 5_000)), from: stranger(number % 5_000))
      }
    }
    flood(for: 2_000)
    let before = world.read.count
    flood(for: 2_000)
    let rate = (world.read.count - before) / 2
    #expect(abs(rate - perSecond) <= 2, "\(rate)")
  }

  @Test("work that took for ever closes the budget for two seconds and no longer")
  func debt() {
    let world = GateWorld(.challenge)
    world.cost = .seconds(3_600)
    world.receive(world.answer(from: alice), from: alice)
    world.receive(world.answer(from: stranger(1)), from: stranger(1))
    #expect(world.read == [alice])
    // A second's worth, less one item of 10 ms, may be open.
    world.run(for: .milliseconds(1_010) - .nanoseconds(1))
    #expect(world.read == [alice])
    world.run(for: .nanoseconds(1))
    #expect(world.read == [alice, stranger(1)])
  }

  @Test("a budget below one item a second keeps to that", arguments: [1, 5, 100])
  func smallShares(_ secondsEach: Int) {
    var budget = HelloBudget()
    budget.unchallenged = .zero
    budget.challenged = HelloBudget.assumedTime / secondsEach
    let world = GateWorld(.automatic(budget), patience: .seconds(1_000))
    for number in 0..<5 { world.receive(world.answer(from: stranger(number)), from: stranger(number)) }
    for count in 1...5 {
      #expect(world.read.count == count)
      world.run(for: .seconds(secondsEach) - .nanoseconds(1))
      #expect(world.read.count == count)
      world.run(for: .nanoseconds(1))
    }
  }

  @Test("no more work is under way than the limit, whatever the budget", arguments: [1, 32])
  func workLimit(_ limit: Int) {
    var budget = HelloBudget()
    budget.unchallenged = .seconds(1)
    budget.challenged = .seconds(1)
    let world = GateWorld(.automatic(budget), workLimit: limit)
    world.worksAtOnce = false
    for number in 0..<limit { #expect(world.receive(from: stranger(number)) == .read(.unchallenged)) }
    #expect(world.receive(from: stranger(100)) == .challenge)
    #expect(world.receive(world.answer(from: stranger(100)), from: stranger(100)) == .wait(evicting: false))
    #expect(world.read.count == limit && world.gate.waiting == 1)
    #expect(world.gate.nextDeadline == world.now.advanced(by: .seconds(5)), "only its end")
    world.gate.workEnded()
    #expect(world.gate.nextDeadline.map { $0 <= world.now } == true)
    world.readWaiting()
    #expect(world.read.last == stranger(100))
  }

  @Test("counts of sources that are kept up to date are those of a census")
  func tally() {
    var random = SplitMix64(seed: 6)
    var tally = SourceTally()
    var census = SourceCensus()
    var held: [(source: HelloSource, share: SourceTally.Share)] = []
    for _ in 0..<2_000 {
      if held.isEmpty || random.next() % 5 < 3 {
        let source = HelloSource(Address(ipv4: UInt32(random.next() % 3) << 8 + UInt32(random.next() % 4), port: 1))
        held.append((source, tally.add(source)))
        census.add(1, to: source)
      } else {
        let source = held.remove(at: Int(random.next() % UInt64(held.count))).source
        tally.remove(source)
        census.add(-1, to: source)
      }
      for (source, share) in held { #expect(share.weight == census.weight(source)) }
    }
    for (source, _) in held { tally.remove(source) }
    #expect(tally.prefixCount == 0)
  }

  @Test("a share of less than a nanosecond a second is none")
  func shareOfLessThanANanosecond() {
    var budget = TimeBudget()
    let share = Duration(secondsComponent: 0, attosecondsComponent: 1)
    budget.charge(.milliseconds(1), share: share, at: .milliseconds(1))
    #expect(!budget.admits(share, at: .milliseconds(1)) && budget.admission(share) == nil)
  }
}

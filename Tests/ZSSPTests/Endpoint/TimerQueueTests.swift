// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSPRandom

@testable import ZSSP

@Suite("The queue of deadlines", .tags(.fast))
struct TimerQueueTests {
  @Test("agrees with a list", arguments: [1, 2, 3] as [UInt64], [5, 60, 100_000] as [UInt64])
  func model(_ seed: UInt64, _ spread: UInt64) {
    var random = SplitMix64(seed: seed)
    var queue = TimerQueue()
    let timers = (0..<200).map { _ in TimerEntry() }
    var model = [Int: Instant]()
    var now: Int64 = 0
    for step in 0..<20_000 {
      let index = Int(random.next() % 200)
      switch random.next() % 10 {
      case 0..<6:
        let deadline = Instant.milliseconds(now + Int64(random.next() % spread))
        queue.set(timers[index], to: deadline)
        model[index] = deadline
      case 6:
        queue.cancel(timers[index])
        model[index] = nil
      case 7:
        queue.set(timers[index], to: .distantFuture)
        model[index] = nil
      default:
        now += Int64(random.next() % (spread / 4 + 1))
        // Those that are due come out in order, each once, and nothing else does.
        var last = Instant.milliseconds(.min / 1_000_000)
        while let timed = queue.popExpired(at: .milliseconds(now)) {
          let found = timers.firstIndex { $0 === timed } ?? -1
          guard let deadline = model.removeValue(forKey: found), deadline >= last, deadline <= .milliseconds(now) else {
            Issue.record("step \(step), timer \(found)")
            return
          }
          last = deadline
        }
        if model.values.contains(where: { $0 <= .milliseconds(now) }) {
          Issue.record("a timer was left behind at step \(step)")
          return
        }
      }
      guard queue.next == model.values.min(), timers[index].deadline == model[index] ?? .distantFuture else {
        Issue.record("step \(step): \(String(describing: queue.next))")
        return
      }
    }
  }

  @Test("a deadline is due at its very moment and not before")
  func moment() {
    var queue = TimerQueue()
    let timed = TimerEntry()
    queue.set(timed, to: .milliseconds(5))
    #expect(queue.popExpired(at: Instant(nanoseconds: 4_999_999)) == nil)
    #expect(queue.next == .milliseconds(5))
    #expect(queue.popExpired(at: .milliseconds(5)) === timed)
    #expect(queue.next == nil)
    #expect(queue.popExpired(at: .distantFuture) == nil)
  }

  @Test("a deadline that moves is one deadline")
  func moves() {
    var queue = TimerQueue()
    let one = TimerEntry()
    let other = TimerEntry()
    queue.set(one, to: .milliseconds(1))
    queue.set(other, to: .milliseconds(2))
    queue.set(one, to: .milliseconds(3))
    #expect(queue.next == .milliseconds(2))
    queue.set(one, to: .milliseconds(1))
    queue.set(one, to: .milliseconds(1))
    #expect(queue.popExpired(at: .milliseconds(9)) === one)
    #expect(queue.popExpired(at: .milliseconds(9)) === other)
    #expect(queue.popExpired(at: .milliseconds(9)) == nil)
  }
}

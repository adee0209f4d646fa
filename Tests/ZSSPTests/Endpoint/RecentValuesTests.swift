// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPRandom

@testable import ZSSP

@Suite(.tags(.fast))
struct RecentValuesTests {
  private let lifetime = Duration.seconds(10)

  private func add(_ amount: Int, to values: inout RecentValues<Int, Int>, key: Int, at milliseconds: Int64) {
    values.update(key, from: 0, at: .milliseconds(milliseconds), lifetime: lifetime) { $0 += amount }
  }

  @Test func valuesStayForALifetimeAndNotForThree() {
    var random = SplitMix64(seed: 0x7E)
    var values = RecentValues<Int, Int>()
    var model: [Int: (sum: Int, changed: Int64)] = [:]
    var now: Int64 = 0
    for _ in 0..<4_000 {
      // Now and then nothing happens for some lifetimes.
      now += Int64.random(in: 0..<(Int.random(in: 0..<100, using: &random) == 0 ? 40_000 : 1500), using: &random)
      let key = Int.random(in: 0..<40, using: &random)
      add(1, to: &values, key: key, at: now)
      // Between one and three lifetimes both are right: the value goes on, or is a new one.
      let last = model[key] ?? (sum: 0, changed: now)
      let isRemembered = values[key] == last.sum + 1
      if !isRemembered, values[key] != 1 || now - last.changed <= 10_000 { Issue.record("\(key) has another value") }
      model[key] = (isRemembered ? last.sum + 1 : 1, now)
      for (key, last) in model {
        if now - last.changed <= 10_000, values[key] != last.sum { Issue.record("\(key) is forgotten too early") }
        if now - last.changed > 30_000, values[key] != nil { Issue.record("\(key) is remembered too long") }
      }
    }
  }

  @Test func forgottenValuesTakeNoRoom() {
    var values = RecentValues<Int, Int>()
    for key in 0..<1000 { add(1, to: &values, key: key, at: 0) }
    #expect(values.count == 1000)
    add(1, to: &values, key: 1, at: 11_000)
    #expect(values.count == 1001 && values[1] == 2 && values[2] == 1)
    add(1, to: &values, key: 1, at: 22_000)
    #expect(values.count == 2 && values[1] == 3 && values[2] == nil)
    add(1, to: &values, key: 3, at: 60_000)
    #expect(values.count == 1 && values[1] == nil)
  }

  @Test func aClockThatRunsBackwardsForgetsNothing() {
    var values = RecentValues<Int, Int>()
    add(1, to: &values, key: 1, at: 50_000)
    add(1, to: &values, key: 2, at: 0)
    add(1, to: &values, key: 1, at: 30_000)
    #expect(values[1] == 2 && values[2] == 1)
  }
}

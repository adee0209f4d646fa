// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPRandom
import ZSSPTestSupport

@testable import ZSSP

@Suite(.tags(.fast))
struct RecentNamesTests {
  private func name(_ number: Int) -> Fingerprint {
    var bytes = [UInt8](repeating: 0, count: 32)
    bytes.withMutableBytes { $0.store(UInt32(number + 1), at: 28) }
    return Fingerprint(bytes.rawBytes)
  }

  // [DEC-65] [DEC-71]
  @Test func eachNameIsPresentUntilItsEnd() {
    var random = SplitMix64(seed: 0x4E)
    var names = RecentNames()
    var ends: [Int: Int64] = [:]
    var now: Int64 = 0
    for _ in 0..<4_000 {
      now += Int64.random(in: 0..<400, using: &random)
      let number = Int.random(in: 0..<60, using: &random)
      if Int.random(in: 0..<8, using: &random) == 0 {
        if names.remove(name(number)) { ends[number] = nil }
      } else {
        // Ends are extended and shortened, as a store answers early or late.
        let end = now + Int64.random(in: 1..<70_000, using: &random)
        if !names.insert(name(number), until: .milliseconds(end), at: .milliseconds(now)) {
          Issue.record("there is room for \(number)")
        }
        ends[number] = end
      }
      for other in 0..<60 where names.contains(name(other), at: .milliseconds(now)) != (ends[other] ?? 0 > now) {
        Issue.record("\(other) at \(now), which ends at \(ends[other] ?? 0)")
      }
    }
  }

  @Test func namesTakeRoomUntilShortlyAfterTheirEnd() {
    var names = RecentNames()
    for number in 0..<1000 {
      _ = names.insert(name(number), until: .milliseconds(Int64(10_000 + 10 * number)), at: .milliseconds(0))
    }
    #expect(names.count == 1000)
    _ = names.insert(name(1000), until: .milliseconds(60_000), at: .milliseconds(15_000))
    // At most 500 have not ended, and at most 430 have within the last 4.3 seconds.
    #expect(names.count <= 1 + 500 + 430)
    _ = names.insert(name(1000), until: .milliseconds(70_000), at: .milliseconds(20_000))
    #expect(names.count == 1)
  }
}

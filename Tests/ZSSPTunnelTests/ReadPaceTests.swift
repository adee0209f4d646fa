// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ZSSPTunnel

/// When packets are left to gather.
struct ReadPaceTests {
  /// Reads the device so many times, a packet each, at a distance in nanoseconds. Says after how many it was left alone first.
  private func firstPause(_ pace: inout ReadPace, from start: Int64 = 1, reads: Int, apart: Int64) -> Int? {
    var first: Int?
    for number in 0..<reads where pace.emptied(packets: 1, at: start + Int64(number) * apart) && first == nil {
      first = number
    }
    return first
  }

  @Test func whatIsFarApartIsReadAtOnce() {
    var pace = ReadPace()
    #expect(firstPause(&pace, reads: 1000, apart: ReadPace.close) == nil)
  }

  /// A stream gathers, and the first packets of it do not.
  @Test func aStreamGathers() throws {
    var pace = ReadPace()
    let first = try #require(firstPause(&pace, reads: 1000, apart: ReadPace.close / 4))
    #expect((20...300).contains(first))
    // As long as it lasts, also while many come at once.
    var now = 2 * ReadPace.close * 1000
    _ = pace.emptied(packets: 1, at: now)
    for _ in 0..<100 {
      now += ReadPace.pause
      let gathers = pace.emptied(packets: 10, at: now)
      #expect(gathers)
    }
  }

  /// When nothing came meanwhile the next is waited for.
  @Test func silenceEndsIt() {
    var pace = ReadPace()
    _ = firstPause(&pace, reads: 1000, apart: 1000)
    let gathers = pace.emptied(packets: 0, at: 2_000_000)
    #expect(!gathers)
  }

  /// A stream that gets slow is read at once again.
  @Test func aSlowStreamIsReadAtOnce() {
    var pace = ReadPace()
    _ = firstPause(&pace, reads: 1000, apart: 1000)
    var pauses = 0
    for number in 1...100 where pace.emptied(packets: 1, at: 1_000_000 + Int64(number) * 200_000) { pauses += 1 }
    #expect(pauses < 20)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPTunnel

/// The times at which packets are left to gather.
@Suite(.tags(.fast))
struct InterruptModerationTests {
  private static let close = InterruptModeration.close.nanoseconds

  private func at(_ nanoseconds: Int64) -> Instant { Instant(nanoseconds: nanoseconds) }

  /// Reads the device `reads` times, a packet each, at a distance in nanoseconds. Returns after how
  /// many it was left alone first.
  private func firstPause(
    _ moderation: inout InterruptModeration, from start: Int64 = 1, reads: Int, apart: Int64
  ) -> Int? {
    var first: Int?
    for number in 0..<reads
    where moderation.emptied(packets: 1, at: at(start + Int64(number) * apart)) && first == nil {
      first = number
    }
    return first
  }

  @Test func packetsFarApartAreReadAtOnce() {
    var moderation = InterruptModeration()
    #expect(firstPause(&moderation, reads: 1000, apart: Self.close) == nil)
  }

  /// Packets of a stream are gathered, except for the first ones.
  @Test func aStreamGathers() throws {
    var moderation = InterruptModeration()
    let first = try #require(firstPause(&moderation, reads: 1000, apart: Self.close / 4))
    #expect((20...300).contains(first))
    // As long as it lasts, also while many come at once.
    var now = at(2 * Self.close * 1000)
    _ = moderation.emptied(packets: 1, at: now)
    for _ in 0..<100 {
      now = now.advanced(by: InterruptModeration.pause)
      let gathers = moderation.emptied(packets: 10, at: now)
      #expect(gathers)
    }
  }

  /// A pause without packets ends the moderation: the next packet is waited for.
  @Test func silenceEndsIt() {
    var moderation = InterruptModeration()
    _ = firstPause(&moderation, reads: 1000, apart: 1000)
    let gathers = moderation.emptied(packets: 0, at: at(2_000_000))
    #expect(!gathers)
  }

  /// A stream that gets slow is read at once again.
  @Test func aSlowStreamIsReadAtOnce() {
    var moderation = InterruptModeration()
    _ = firstPause(&moderation, reads: 1000, apart: 1000)
    var pauses = 0
    for number in 1...100 where moderation.emptied(packets: 1, at: at(1_000_000 + Int64(number) * 200_000)) {
      pauses += 1
    }
    #expect(pauses < 20)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP

@testable import ZSSPTunnel

/// Measurements that depend on a peer's own words.
struct GaugeTests {
  private let gauges = PeerGauges()

  /// The peer chooses the number of its answer: none may end the process, and none but the right one is believed.
  @Test(arguments: [1 << 63, (1 << 63) + 1, UInt64.max, 0, 1, 999, 1001] as [UInt64])
  func anAnswerThatWasNotAskedFor(number: UInt64) {
    gauges.answered(number, at: Instant(nanoseconds: 1000))
    #expect(gauges.asked(at: Instant(nanoseconds: 1000)) == 1000)
    gauges.answered(number, at: Instant(nanoseconds: 1500))
    gauges.answered(number, at: Instant(nanoseconds: .min))
    #expect(gauges.roundTrip == nil)
  }

  @Test func anAnswerCountsOnce() {
    let question = gauges.asked(at: Instant(nanoseconds: 1000))
    gauges.answered(question, at: Instant(nanoseconds: 1500))
    #expect(gauges.roundTrip == .nanoseconds(500))
    gauges.answered(question, at: Instant(nanoseconds: 9000))
    #expect(gauges.roundTrip == .nanoseconds(500))
  }
}

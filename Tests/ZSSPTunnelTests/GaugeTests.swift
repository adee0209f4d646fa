// SPDX-License-Identifier: Apache-2.0
import Synchronization
import Testing

@testable import ZSSPTunnel

/// What is measured of a peer, by its own words.
struct GaugeTests {
  private let gauges = PeerGauges()

  private var roundTrip: Int64 { gauges.roundTrip.load(ordering: .relaxed) }

  /// The peer chooses the number of its answer: none may end the process, and none but the right one is believed.
  @Test(arguments: [1 << 63, (1 << 63) + 1, UInt64.max, 0, 1, 999, 1001] as [UInt64])
  func anAnswerThatWasNotAskedFor(number: UInt64) {
    gauges.answered(number, at: 1000)
    #expect(gauges.asked(at: 1000) == 1000)
    gauges.answered(number, at: 1500)
    gauges.answered(number, at: .min)
    #expect(roundTrip == 0)
  }

  @Test func anAnswerCountsOnce() {
    let question = gauges.asked(at: 1000)
    gauges.answered(question, at: 1500)
    #expect(roundTrip == 500)
    gauges.answered(question, at: 9000)
    #expect(roundTrip == 500)
  }
}

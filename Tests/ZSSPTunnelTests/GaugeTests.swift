// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPTunnel

/// The measurements of a peer.
@Suite(.tags(.fast))
struct GaugeTests {
  private let gauges = PeerGauges()

  @Test func anAnswerToAProbeShowsThatThePeerIsThere() {
    #expect(gauges.lastReceived == nil && gauges.roundTrip == nil)
    gauges.recordAnswer(after: nil, at: Instant(nanoseconds: 1000))
    #expect(gauges.lastReceived == Instant(nanoseconds: 1000) && gauges.roundTrip == nil)
    gauges.recordAnswer(after: .nanoseconds(500), at: Instant(nanoseconds: 1500))
    gauges.recordAnswer(after: nil, at: Instant(nanoseconds: 9000))
    #expect(gauges.lastReceived == Instant(nanoseconds: 9000) && gauges.roundTrip == .nanoseconds(500))
  }

  /// A clock that leaps must not end the process.
  @Test(arguments: [Duration.zero, .nanoseconds(-1), .seconds(Int64.max), .seconds(Int64.min)])
  func timesThatCannotBe(roundTrip: Duration) {
    gauges.recordAnswer(after: roundTrip, at: Instant(nanoseconds: 1000))
    #expect(gauges.roundTrip.map { $0 > .zero } ?? true)
  }
}

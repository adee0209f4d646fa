// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPTunnel

/// Silence is measured from the first packet that was not answered, however many follow.
@Suite(.tags(.fast))
struct SilenceTests {
  private func at(tenths: Int64) -> Instant { Instant(nanoseconds: tenths * 100_000_000 + 1) }

  /// What is done at each second while a packet is sent every tenth of one and nothing comes.
  private func actions(seconds: Int64) -> [Liveness.Action] {
    var liveness = Liveness()
    return (1...seconds).map { time in
      for tenth in 0..<10 as Range<Int64> { liveness.sent(at: at(tenths: (time - 1) * 10 + tenth)) }
      return liveness.check(at: at(tenths: time * 10), lastReceived: nil, keepalive: nil)
    }
  }

  @Test func trafficThatGoesOnDoesNotHideSilence() {
    #expect(actions(seconds: 6) == [.probe, .probe, .probe, .probe, .newSession, .newSession])
  }

  /// An answer ends a silence, and the next begins with the next packet.
  @Test func anAnswerEndsIt() {
    var liveness = Liveness()
    liveness.sent(at: at(tenths: 10))
    liveness.sent(at: at(tenths: 40))
    #expect(liveness.unansweredSince == at(tenths: 10))
    _ = liveness.check(at: at(tenths: 50), lastReceived: at(tenths: 40), keepalive: nil)
    #expect(liveness.unansweredSince == nil)
    liveness.sent(at: at(tenths: 60))
    #expect(liveness.unansweredSince == at(tenths: 60))
    #expect(liveness.isSilent(lastReceived: at(tenths: 40)) && !liveness.isSilent(lastReceived: at(tenths: 60)))
  }
}

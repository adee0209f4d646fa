// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPTunnel

/// Silence is measured from the first packet that was not answered, however many follow.
@Suite(.tags(.fast))
struct SilenceTests {
  private func at(tenths: Int64) -> Instant { Instant(nanoseconds: tenths * 100_000_000 + 1) }

  /// Returns the actions of each second while a packet is sent every tenth of a second and nothing
  /// arrives.
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
  }

  /// A peer that answers each probe is not silent, although packets go out to it all the time and
  /// nothing else comes back.
  @Test func trafficInOneDirectionIsNoSilence() {
    var liveness = Liveness()
    var received: Instant?
    for tenth in 0..<300 as Range<Int64> {
      let now = at(tenths: tenth)
      liveness.sent(at: now)
      #expect(!liveness.isSilent(at: now, lastReceived: received), "\(tenth)")
      guard tenth.isMultiple(of: 10) else { continue }
      let action = liveness.check(at: now, lastReceived: received, keepalive: nil)
      #expect(action != .newSession)
      // Half a second is a long round trip.
      if action == .probe { received = at(tenths: tenth + 5) }
    }
  }

  /// A peer that stops answering is silent two seconds after the first probe that it did not
  /// answer, and until something comes.
  @Test func unansweredProbesAreSilence() {
    var liveness = Liveness()
    liveness.sent(at: at(tenths: 0))
    var silent: [Int64] = []
    for second in 1...5 as ClosedRange<Int64> {
      _ = liveness.check(at: at(tenths: second * 10), lastReceived: nil, keepalive: nil)
      if liveness.isSilent(at: at(tenths: second * 10), lastReceived: nil) { silent.append(second) }
    }
    #expect(silent == [3, 4, 5])
    #expect(!liveness.isSilent(at: at(tenths: 55), lastReceived: at(tenths: 52)))
    _ = liveness.check(at: at(tenths: 60), lastReceived: at(tenths: 52), keepalive: nil)
    liveness.sent(at: at(tenths: 90))
    #expect(!liveness.isSilent(at: at(tenths: 100), lastReceived: at(tenths: 52)))
  }
}

// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

/// Plays what Spin finds in the model of ratchet states, with a decision of the specification taken
/// away, against the endpoint.
///
/// The endpoint, which has the decision, must not do what the model does. Scripts/mutants takes the
/// same decisions away from the endpoint (entries whose names begin with `schedule-`): then each
/// schedule does show the fault.
@Suite("Schedules from the Spin model (section 14)", .tags(.fast))
struct ScheduleTests {
  /// A schedule, and the reason for which the endpoint drops what the model without the decision
  /// takes; nil if it takes more, not less.
  static let schedules: [(name: String, stoppedBy: DropReason?)] = [
    ("other-state-not-revoked", .superseded),
    ("late-completion", .superseded),
    ("oldest-revocation-forgotten", .superseded),
    ("revoked-only-at-one-responder", .ratchetConflict),
    ("second-fingerprint-ignored", nil),
    ("false-downgrade", .superseded),
  ]

  /// Seeds decide, among other things, which of two fingerprints is the smaller.
  @Test("what is a fault of the model without a decision is none of the endpoint", .long, arguments: schedules)
  func endpointHasTheDecision(name: String, stoppedBy reason: DropReason?) throws {
    let schedule = try Schedule(name)
    var isStopped = false
    for seed in 1...24 as ClosedRange<UInt64> {
      let world = try ScheduleWorld(schedule, seed: seed)
      try world.play()
      #expect(world.haveStateInCommon && world.replacedSessions == 0 && world.downgrades == 0, "seed \(seed)")
      if let reason, world[reason] > 0 { isStopped = true }
      #expect(try world.recovers() && world.downgrades == 0, "seed \(seed)")
    }
    // The schedule has come to where the decision matters.
    #expect(isStopped == (reason != nil))
  }
}

// SPDX-License-Identifier: Apache-2.0

import ZSSP

/// A side of a transcript, and the events that it should see.
package struct TranscriptCase: Sendable, CustomStringConvertible {
  package let name: String
  package let side: Side
  package let events: [String]

  package var description: String { "\(name), \(side)" }

  private static let established = "established 1"
  private static let resumed = "established 2"
  private static let confirmed = "confirmed"
  private static let rekeyed = ["rekeyed 2", "rekeyed 3"]

  /// Recorded from upstream peers: the profile `upstream`, every packet they sent.
  package static let recorded: [TranscriptCase] = [
    both("first_contact", [established], [established, confirmed]),
    both("large_identity", [established], [established, confirmed]),
    both("unfragmented_empty_identity", [established], [established, confirmed]),
    both("data", [established], [established, confirmed]),
    both("losses", [established], [established, confirmed]),
    both("x1_timeout", ["restarted timeout", established], [established, confirmed]),
    both("second_contact", [resumed], [resumed, confirmed]),
    both("one_time_password", [resumed], [resumed, confirmed]),
    both("downgrade_alice_lost_state", [established], ["downgraded 1", established, confirmed]),
    both("downgrade_bob_lost_state", ["downgraded 1", established], [established, confirmed]),
    both("initiator_refuses_downgrade", ["restarted notAuthentic"], []),
    both("responder_refuses_downgrade", ["ended rejected"], ["withdrawn refused"]),
    both("hello_requires_ratchet_silence", [], []),
    both("rejected", ["ended rejected"], ["withdrawn refused"]),
    both("rejected_silently", [], ["withdrawn refused"]),
    both("replay", [established], [established, confirmed]),
    both("challenge", [established], [established, confirmed]),
    both("rekey", [established] + rekeyed, [established, confirmed] + rekeyed),
    both("rekey_collision", [established, "rekeyed 2"], [established, confirmed, "rekeyed 2"]),
  ].flatMap(\.self)

  /// Computed by a reference model, one for each profile.
  package static let computed: [TranscriptCase] = Profile.allCases.flatMap { profile in
    both("oracle_\(profile.rawValue)", [established] + rekeyed, [established, confirmed] + rekeyed)
  }

  private static func both(_ name: String, _ alice: [String], _ bob: [String]) -> [TranscriptCase] {
    [TranscriptCase(name: name, side: .alice, events: alice), TranscriptCase(name: name, side: .bob, events: bob)]
  }
}

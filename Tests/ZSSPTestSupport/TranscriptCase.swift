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
    both("first_contact", alice: [established], bob: [established, confirmed]),
    both("large_identity", alice: [established], bob: [established, confirmed]),
    both("unfragmented_empty_identity", alice: [established], bob: [established, confirmed]),
    both("data", alice: [established], bob: [established, confirmed]),
    both("losses", alice: [established], bob: [established, confirmed]),
    both("x1_timeout", alice: ["restarted timeout", established], bob: [established, confirmed]),
    both("second_contact", alice: [resumed], bob: [resumed, confirmed]),
    both("one_time_password", alice: [resumed], bob: [resumed, confirmed]),
    both("downgrade_alice_lost_state", alice: [established], bob: ["downgraded 1", established, confirmed]),
    both("downgrade_bob_lost_state", alice: ["downgraded 1", established], bob: [established, confirmed]),
    both("initiator_refuses_downgrade", alice: ["restarted notAuthentic"], bob: []),
    both("responder_refuses_downgrade", alice: ["ended rejected"], bob: ["withdrawn refused"]),
    both("hello_requires_ratchet_silence", alice: [], bob: []),
    both("rejected", alice: ["ended rejected"], bob: ["withdrawn refused"]),
    both("rejected_silently", alice: [], bob: ["withdrawn refused"]),
    both("replay", alice: [established], bob: [established, confirmed]),
    both("challenge", alice: [established], bob: [established, confirmed]),
    both("rekey", alice: [established] + rekeyed, bob: [established, confirmed] + rekeyed),
    both("rekey_collision", alice: [established, "rekeyed 2"], bob: [established, confirmed, "rekeyed 2"]),
  ].flatMap(\.self)

  /// Computed by a reference model, one for each profile.
  package static let computed: [TranscriptCase] = Profile.allCases.flatMap { profile in
    both("oracle_\(profile.rawValue)", alice: [established] + rekeyed, bob: [established, confirmed] + rekeyed)
  }

  private static func both(_ name: String, alice: [String], bob: [String]) -> [TranscriptCase] {
    [TranscriptCase(name: name, side: .alice, events: alice), TranscriptCase(name: name, side: .bob, events: bob)]
  }
}

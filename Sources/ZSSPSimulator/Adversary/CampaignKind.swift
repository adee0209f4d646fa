// SPDX-License-Identifier: Apache-2.0

/// What a campaign of the adversary is after (``AdversaryPlan``).
public enum CampaignKind: String, Sendable, Hashable, CaseIterable {
  /// Every packet is held back or not, and released when it comes to mind: the random walk of a model checker.
  case walk
  /// No X3 arrives, for many attempts in a row. Then Hellos of theirs are repeated, and one X3 comes.
  case starve
  /// Attempts of both sides cross, in rounds: each side opens, and its X3 is held back; each X3 arrives later, and each side has
  /// opened again before that, so that X2 of one side is based on a state that the other has just left behind.
  case cross
  /// Whoever answers a re-key opens anew at once, and K2 arrives just when his Hello is being worked on.
  case rekey
  /// Hellos come from the adversary's address, and what comes back is passed on.
  case relay
  /// Anything.
  case any
}

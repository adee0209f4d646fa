// SPDX-License-Identifier: Apache-2.0

/// The aim of a campaign (``AdversaryPlan``).
public enum CampaignKind: String, Sendable, Hashable, CaseIterable {
  /// Each packet is held back or not, and released at random times: the random walk of a model
  /// checker.
  case walk
  /// No X3 arrives for many attempts in a row. Then their Hellos are repeated, and one X3 arrives.
  case starve
  /// Attempts of both sides cross, in rounds. Each side opens, and its X3 is held back. Each X3
  /// arrives later, after both sides have opened again, so that an X2 is based on a state that the
  /// other side has just left.
  case cross
  /// The side that answers a re-key opens a session at once, and K2 arrives while its Hello is
  /// being processed.
  case rekey
  /// Hellos come from the adversary's address, and the responses are forwarded.
  case relay
  /// A random mixture.
  case any
}

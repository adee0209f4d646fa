// SPDX-License-Identifier: Apache-2.0

/// The flags π1 to π4 (section 10). They are local: the peer need not agree, and cannot tell.
public struct SecurityFlags: OptionSet, Sendable, Hashable {
  /// One bit for each flag, π1 the lowest.
  public let rawValue: UInt8

  /// Flags of the given bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  // [MODE-1]
  /// π1: stay silent to Hellos that do not bring a ratchet state known here. Applies to the endpoint as a whole.
  public static let helloRequiresRatchet = SecurityFlags(rawValue: 1 << 0)
  // [MODE-2]
  /// π2: as initiator, never fall back to the empty ratchet state.
  public static let initiatorDisallowsDowngrade = SecurityFlags(rawValue: 1 << 1)
  // [MODE-3]
  /// π3: as responder, never let a known peer come back without its ratchet state.
  public static let responderDisallowsDowngrade = SecurityFlags(rawValue: 1 << 2)
  // [MODE-4]
  /// π4: as responder, refuse in silence.
  public static let responderRejectsSilently = SecurityFlags(rawValue: 1 << 3)
}

extension SecurityFlags {
  // [MODE-6]
  /// None of the flags: anyone may say Hello, and a lost ratchet is reported, not refused.
  public static let opportunistic: SecurityFlags = []
  // [MODE-5]
  /// All of the flags: who does not bring the right ratchet gets no answer. Needs one-time passwords or a durable store.
  public static let persistent: SecurityFlags = [
    .helloRequiresRatchet, .initiatorDisallowsDowngrade, .responderDisallowsDowngrade, .responderRejectsSilently,
  ]
}

// SPDX-License-Identifier: Apache-2.0

/// The flags π1 to π4 (section 10). They are local: the peer need not have the same, and cannot see
/// them.
public struct SecurityFlags: OptionSet, Sendable, Hashable {
  /// One bit for each flag, π1 the lowest.
  public let rawValue: UInt8

  /// Creates flags of the given bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  // [MODE-1]
  /// π1: the responder ignores Hellos without a ratchet state that this endpoint knows. It applies
  /// to the whole endpoint.
  public static let helloRequiresRatchet = SecurityFlags(rawValue: 1 << 0)
  // [MODE-2]
  /// π2: the initiator never falls back to the empty ratchet state.
  public static let initiatorDisallowsDowngrade = SecurityFlags(rawValue: 1 << 1)
  // [MODE-3]
  /// π3: the responder never accepts a known peer without its ratchet state.
  public static let responderDisallowsDowngrade = SecurityFlags(rawValue: 1 << 2)
  // [MODE-4]
  /// π4: the responder refuses without an answer.
  public static let responderRejectsSilently = SecurityFlags(rawValue: 1 << 3)
}

extension SecurityFlags {
  // [MODE-6]
  /// No flags: any sender may send a Hello, and a lost ratchet state is reported, not refused.
  public static let opportunistic: SecurityFlags = []
  // [MODE-5]
  /// All flags: a peer without the right ratchet state gets no answer. This needs one-time
  /// passwords or a durable store.
  public static let persistent: SecurityFlags = [
    .helloRequiresRatchet, .initiatorDisallowsDowngrade, .responderDisallowsDowngrade, .responderRejectsSilently,
  ]
}

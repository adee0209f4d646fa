// SPDX-License-Identifier: Apache-2.0

/// A promise of the protocol that did not hold in a run.
public struct Violation: Error, Sendable, Hashable {
  /// The promises.
  public enum Invariant: String, Sendable, Hashable, CaseIterable {
    /// No nonce is used twice under one AEAD key.
    case nonceReused
    /// A message comes once.
    case deliveredTwice
    /// A message comes as it was sent.
    case altered
    /// A message comes from whom the session says.
    case wrongPeer
    /// What is in memory stays within its bounds.
    case unbounded
    /// A datagram that is dropped, or forged, moves no timer of a session.
    case timerMoved
    /// No state outlasts its timeout (section 11).
    case stuck
    /// A chain goes back only where a downgrade is allowed and reported.
    case chainWentBack
    /// A persistent peer is never downgraded.
    case downgraded
    /// A silent responder (π1) sends nothing to strangers, nor to where forged Hellos come from.
    case notSilent
    /// A stranger gets no session.
    case strangerAccepted
    /// When the network is well again, every pair comes back in time.
    case lockedOut
    /// In calm, no session ends and no message is lost.
    case calmBroken
    /// Both ends of a session in S2 have the same key.
    case disagreement
    /// Two peers whose stores were never lost have a ratchet state in common.
    case noCommonState
    /// A downgrade is reported only where a store was lost.
    case falseDowngrade
    /// A session sends to where its peer is, not to where its Hello was passed on from.
    case diverted
    /// A session that works at both ends gives way to no handshake that its peer has left behind before.
    case replacedByStale
    /// Nothing comes of a peer that was accepted, when the application has cancelled that in time.
    case cancelledAccept
  }

  /// The promise.
  public let invariant: Invariant
  /// What happened instead.
  public let details: String
  /// The seed to see it again with.
  public let seed: UInt64
  /// The virtual time in seconds.
  public let time: Double
  /// The number of the step.
  public let step: UInt64
  /// The last steps before it, one per line.
  public let trace: [String]
}

extension Violation {
  /// It in one line, without the steps before it.
  public var summary: String { "seed \(seed): violated \(invariant.rawValue) at \(time) s: \(details)" }
}

extension Violation: CustomStringConvertible {
  /// All of it, over several lines.
  public var description: String {
    "violated: \(invariant.rawValue) at \(time) s, step \(step), seed \(seed): \(details)\n"
      + trace.map { "  \($0)\n" }.joined()
  }
}

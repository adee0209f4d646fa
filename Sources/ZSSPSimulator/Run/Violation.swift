// SPDX-License-Identifier: Apache-2.0

/// A promise of the protocol that a run broke.
public struct Violation: Error, Sendable, Hashable {
  /// The promises.
  public enum Invariant: String, Sendable, Hashable, CaseIterable {
    /// No nonce is used twice under one AEAD key.
    case nonceReused
    /// A message arrives once.
    case deliveredTwice
    /// A message arrives unaltered.
    case altered
    /// A message comes from the session's peer.
    case wrongPeer
    /// Memory stays within its bounds.
    case unbounded
    /// A dropped or forged datagram moves no timer of a session.
    case timerMoved
    /// No state outlasts its timeout (section 11).
    case stuck
    /// A chain is shortened only where a downgrade is permitted and reported.
    case chainWentBack
    /// A persistent peer is never downgraded.
    case downgraded
    /// A silent responder (π1) sends nothing to strangers, nor to the sources of forged Hellos.
    case notSilent
    /// A stranger gets no session.
    case strangerAccepted
    /// Every pair recovers in time after the network has recovered.
    case lockedOut
    /// No session ends and no message is lost in calm.
    case calmBroken
    /// Both ends of a session in S2 have the same key.
    case disagreement
    /// Two peers whose stores were never lost have a common ratchet state.
    case noCommonState
    /// A downgrade is reported only where a store was lost.
    case falseDowngrade
    /// A session sends to its peer's address, not to an address that forwarded its Hello.
    case diverted
    /// A session that works at both ends is not replaced by a handshake that its peer has abandoned
    /// before.
    case replacedByStale
    /// An acceptance that was cancelled in time leads to no session.
    case cancelledAccept
  }

  /// The promise.
  public let invariant: Invariant
  /// The behaviour that was observed instead.
  public let details: String
  /// The seed that reproduces it.
  public let seed: UInt64
  /// The virtual time in seconds.
  public let time: Double
  /// The number of the step.
  public let step: UInt64
  /// The last steps before it, one per line.
  public let trace: [String]
}

extension Violation {
  /// The violation in one line, without the previous steps.
  public var summary: String { "seed \(seed): violated \(invariant.rawValue) at \(time) s: \(details)" }
}

extension Violation: CustomStringConvertible {
  /// The violation with the previous steps, in several lines.
  public var description: String {
    "violated: \(invariant.rawValue) at \(time) s, step \(step), seed \(seed): \(details)\n"
      + trace.map { "  \($0)\n" }.joined()
  }
}

// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 4: nonces, counters, packet types, key ids.

/// A key id: opaque to the peer, random and non-zero; 0 for none.
typealias KeyID = UInt32

// [PKT-5]
/// The table of section 4.
enum PacketType: UInt8 {
  /// Hello, Response, Completion.
  case x1 = 0
  case x2 = 1
  case x3 = 2
  /// KeyConfirm and Ack.
  case c1 = 3
  case c2 = 4
  /// RekeyInit and RekeyComplete.
  case k1 = 5
  case k2 = 6
  /// Rejected.
  case d = 7
  /// Data.
  case p = 8
  case challenge = 9
}

// [PKT-6]
/// Payload sizes in bytes.
enum Size {
  static let x1 = 1749
  static let x1WithoutResponse = 1717
  static let x2 = 1653
  static let x3 = 81...81 + 4096
  /// C1, C2 and D: a bare tag.
  static let tag = 16
  /// K1 and K2, sealed.
  static let rekey = 85
  static let challenge = 36
}

// [PKT-2]
/// The AEAD nonce that the text writes `type‖counter`: `00 00 || reserved || type ||
/// uint64(counter)`.
func nonce(_ type: UInt8, _ counter: UInt64) -> Nonce { Nonce(type: type, counter: counter) }

/// The replay window of a session, which has the accepted counters.
///
/// "A received counter c is acceptable when it was not accepted before, is not older than the
/// window, and is at most 2^24 ahead of what the window has seen."
struct ReplayWindow {
  // [CTR-9]
  /// "The window MUST span at least 128 counters; a larger one is welcome."
  static let span: UInt64 = 8192

  /// One more than the newest accepted counter: what the window has seen.
  private(set) var next: UInt64 = 0
  /// The accepted counters that are not older than the window.
  private var accepted: Set<UInt64> = []

  func accepts(_ counter: UInt64) -> Bool {
    // [CTR-6]
    if counter >= next { return counter - next < 1 << 24 }
    // [CTR-4] [CTR-5]
    return next - counter <= Self.span && !accepted.contains(counter)
  }

  // [CTR-8]
  /// "Updated only after the packet authenticated."
  mutating func accept(_ counter: UInt64) {
    accepted.insert(counter)
    guard counter >= next else { return }
    next = counter + 1
    // Old counters are forgotten only to save memory, so doing it rarely is enough.
    if accepted.count > 2 * Int(Self.span) { accepted = accepted.filter { next - $0 <= Self.span } }
  }
}

/// One key of a session, from the point of view of one side.
struct SessionKey {
  /// This side's id and the peer's.
  let localID, remoteID: KeyID
  let kek, nk: (send: [UInt8], receive: [UInt8])
  /// The chain length of the ratchet state that was derived with the key.
  let chainLength: UInt64
  // [CTR-2] [DEC-42]
  /// The session's send counter when the key was made. Section 14: "Key use is counted as the
  /// number of session counters taken since the key was made."
  let since: UInt64

  init(_ outcome: Outcome, byInitiator: Bool, localID: KeyID, remoteID: KeyID, since: UInt64) {
    self.localID = localID
    self.remoteID = remoteID
    self.since = since
    kek = outcome.kek.seen(byInitiator: byInitiator)
    nk = outcome.nk.seen(byInitiator: byInitiator)
    chainLength = outcome.ratchet.chainLength
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The states of a session (section 11). B2 is not among them: see ``HalfOpenHandshake``. What only a handshake needs lies apart, so
/// that a session in S2 does not carry room for it.
enum ZetaState {
  /// Alice says Hello.
  case a1(HelloPhase)
  /// Alice has sent X3 and waits for C1.
  case a3(completion: [UInt8])
  /// A new key is in use here and waits for the peer's confirmation.
  case s1
  /// Both sides use the current key.
  case s2
  /// K1 was sent.
  indirect case r1(RekeyHandshake.Initiation)
  /// K2 was sent.
  case r2(answer: [UInt8])

  /// The steps within A1. Its timers run through all of them.
  enum HelloPhase {
    /// The ratchet states of the peer are being looked up, or will be when the resend timer fires.
    case loading
    /// X1 is being computed.
    case computing
    /// X1 is out. X2 may be here already, and being worked on.
    indirect case sent(InitiatorHandshake.Hello)
  }

  /// The state's name in the specification.
  var name: String {
    switch self {
    case .a1: "A1"
    case .a3: "A3"
    case .s1: "S1"
    case .s2: "S2"
    case .r1: "R1"
    case .r2: "R2"
    }
  }

  /// Whether data may be sent.
  var canSend: Bool {
    switch self {
    case .a1, .a3: false
    case .s1, .s2, .r1, .r2: true
    }
  }
}

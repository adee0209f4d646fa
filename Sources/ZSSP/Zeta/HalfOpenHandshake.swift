// SPDX-License-Identifier: Apache-2.0

/// Bob's side of a handshake, from a complete X1 until he has a session (state B2 of section 11, and the steps around it).
final class HalfOpenHandshake: Timed {
  /// Where the handshake has come to.
  enum Stage {
    /// X1 is being read.
    case readingHello
    /// The store is asked for the first fingerprint, or the second.
    case lookingUp(ResponderHandshake.Hello, second: Bool)
    /// The store is asked what it holds for the peer whose fingerprint was found.
    case verifying(ResponderHandshake.Hello)
    /// The store is asked to remember that the peer has given up the state of the first fingerprint.
    case givingUp(ResponderHandshake.Hello)
    /// X2 is being computed.
    case responding(ResponderHandshake.Hello)
    /// B2: X2 is out, X3 is awaited.
    case waiting(ResponderHandshake.Response)
    /// X3 is being read. The response is kept for the case that the store fails.
    case readingCompletion(ResponderHandshake.Response)
    /// The application is asked.
    case asking(ResponderHandshake.Response, ResponderHandshake.Completion)
    /// The store is asked for the peer's states.
    case loading(ResponderHandshake.Response, ResponderHandshake.Completion, SecurityFlags)
    /// The store is asked to store the new state.
    case storing(ResponderHandshake.Response, ResponderHandshake.Completion, SecurityFlags, Change)
  }

  /// What a responder's store is asked to hold.
  struct Change {
    let new: RatchetPair
    /// The chain length of the state that was held when the peer came back without its ratchet, if it did.
    let downgradedFrom: UInt64?
  }

  /// Where X1 came from.
  let address: Address
  var stage = Stage.readingHello
  /// The request that the handshake waits for.
  var pending: RequestID?
  /// The application was asked under this id, and is owed a session or the news that there will be none.
  var acceptance: RequestID?
  /// kid_B, from B2 on.
  var keyID = KeyID.none
  /// Outcomes that Alice has given up since: an X3 that leads to one of them comes too late.
  var givenUp = GivenUpStates()
  /// The request by which its outcome was stored.
  var lastSwap: RequestID?
  /// kid_A, once X1 is read.
  var initiatorKeyID = KeyID.none
  /// For whom the store keeps the ratchet state that is used.
  var ratchetPeer: PublicKey?
  var headerKeys: HeaderKeyPair?
  /// The fragments of X3.
  var reassembly: SessionReassembly
  /// When the handshake is forgotten.
  let expiry: Instant

  /// Bytes of an incomplete X3 at most.
  static let reassemblyLimit = 1 << 14

  init(address: Address, settings: Settings, at now: Instant) {
    self.address = address
    expiry = now.advanced(by: settings.handshakeTimeout)
    reassembly = SessionReassembly(
      limits: .init(packets: 1, bytes: Self.reassemblyLimit, packetBytes: PacketSize.largestCompletion),
      timeout: settings.reassemblyTimeout)
  }

  var nextDeadline: Instant { min(expiry, reassembly.nextDeadline ?? .distantFuture) }

  /// Whether the store has been asked what it holds for the peer, for an X2.
  var isVerifying: Bool {
    switch stage {
    case .verifying, .givingUp: true
    default: false
    }
  }

  /// Whether the store may be changing on behalf of the handshake.
  var isStoring: Bool {
    if case .storing = stage { true } else { false }
  }

  /// Whether the handshake is in B2 proper, and may make room for another.
  var isWaiting: Bool {
    if case .waiting = stage { true } else { false }
  }
}

// SPDX-License-Identifier: Apache-2.0

/// What a machine wants done after an input. ``Endpoint`` does it, in order.
///
/// A machine changes only itself. Everything else that an input leads to, it returns.
enum Action {
  /// Send a packet to the peer.
  case send(OutgoingPacket)
  /// Ask the store; the machine waits for the answer, and no longer for an earlier one.
  case ask(StoreRequest)
  /// Have public-key work done; the machine waits for the result.
  case work(PublicKeyWork.Kind, Job)
  /// Wait for no answer any more.
  case stopWaiting
  /// Take back the id of a key that was offered or erased, and forget what of its packets is incomplete.
  case release(KeyID)
  /// Take back the ids of all keys of the session, which it has erased.
  case releaseAll([KeyID])
  /// Forget incomplete packets.
  case forgetIncomplete
  /// Follow the peer to another address.
  case move(to: Address)
  /// Tell the application.
  case emit(Event)
  /// Count a packet, or an answer, of which nothing came.
  case drop(DropReason)
  /// The session can carry data. Older sessions with its peer end.
  case establish(Establishment, swap: PeerDirectory.Mark)
  /// The session is over.
  case end(EndReason)

  /// Public-key work, which runs anywhere.
  typealias Job = @Sendable () throws(AuthenticationFailure) -> PublicKeyResult.Outcome
}

/// A packet that is sealed, before it is cut into datagrams.
struct OutgoingPacket {
  let type: PacketType
  let counter: UInt64
  /// The peer's name for the key; none in X1 and challenges.
  let keyID: KeyID
  let bytes: [UInt8]

  // [HDR-7]
  /// Whether headers are protected: in all packets but X1 and challenges.
  var isProtected: Bool { keyID != .none }
}

/// A packet was dropped: it changed nothing.
struct Dropped: Error {
  let reason: DropReason

  init(_ reason: DropReason) { self.reason = reason }
}

/// What the machines of an endpoint work with: what it was made with, and what its shards know of each other.
struct Surroundings {
  let configuration: EndpointConfiguration
  let directory: PeerDirectory

  var settings: Settings { configuration.settings }
  var provider: any CryptoProvider { configuration.provider }

  /// Where a session is.
  func place(_ session: SessionID) -> PeerDirectory.Place {
    PeerDirectory.Place(shard: configuration.settings.shard.index, session: session)
  }
}

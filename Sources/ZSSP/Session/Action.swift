// SPDX-License-Identifier: Apache-2.0

/// An action that a machine returns after an input. ``Endpoint`` executes the actions, in order.
///
/// A machine changes only its own state, and returns everything else that an input leads to.
enum Action {
  /// Send a packet to the peer.
  case send(OutgoingPacket)
  /// Make a request to the store. The machine waits for its answer, and no longer for an earlier
  /// one.
  case ask(StoreRequest)
  /// Request public-key work. The machine waits for the result.
  case work(PublicKeyWork.Kind, Job)
  /// Stop waiting for an answer.
  case stopWaiting
  /// Release the id of a key that was offered or erased, and drop its incomplete packets.
  case release(KeyID)
  /// Release the ids of all keys of the session, which it has erased.
  case releaseAll([KeyID])
  /// Drop incomplete packets.
  case forgetIncomplete
  /// Send to another address from now on.
  case move(to: Address)
  /// Deliver an event to the application.
  case emit(Event)
  /// Count a dropped packet or answer.
  case drop(DropReason)
  /// Report that the session can carry data. Older sessions with its peer end.
  case establish(Establishment, swap: PeerDirectory.Mark)
  /// End the session.
  case end(EndReason)

  /// Public-key work, which can run on any thread.
  typealias Job = @Sendable () throws(AuthenticationFailure) -> Computation<PublicKeyResult.Outcome>
}

/// A sealed packet, before it is cut into datagrams.
struct OutgoingPacket {
  let type: PacketType
  let counter: UInt64
  /// The peer's id of the key; none in X1 and challenges.
  let keyID: KeyID
  let bytes: [UInt8]

  // [HDR-7]
  /// True if headers are protected: in all packets but X1 and challenges.
  var isProtected: Bool { keyID != .none }
}

/// The error of a dropped packet, which changed nothing.
struct Dropped: Error {
  let reason: DropReason

  init(_ reason: DropReason) { self.reason = reason }
}

/// The context of the machines: the endpoint's configuration, and the directory that its shards
/// share.
struct Surroundings {
  let configuration: EndpointConfiguration
  let directory: PeerDirectory

  var settings: Settings { configuration.settings }
  var provider: any CryptoProvider { configuration.provider }

  /// Returns the place of a session.
  func place(_ session: SessionID) -> PeerDirectory.Place {
    PeerDirectory.Place(shard: configuration.settings.shard.index, session: session)
  }
}

// SPDX-License-Identifier: Apache-2.0
public import NIOCore
public import ZSSP

/// A handshake of a peer that has proved its key and waits for a decision.
///
/// It waits at most ``/ZSSP/Settings/handshakeTimeout`` from its first packet. Without a decision
/// it is refused silently.
public struct IncomingSession: Sendable {
  private let request: AcceptRequest
  private let id: RequestID
  private let shard: Int
  private let handle: EndpointHandle

  init(_ offer: IncomingOffer, handle: EndpointHandle) {
    request = offer.request
    id = offer.id
    shard = offer.shard
    self.handle = handle
  }

  /// The initiator's static key, which it has proved.
  public var peer: PublicKey { request.peer }
  /// The initiator's identity, 0…4096 bytes. It is authenticated as a statement of `peer`.
  public var identity: [UInt8] { request.identity }
  /// The address that the handshake came from.
  public var remoteAddress: SocketAddress { SocketAddress(request.address) }
  /// True if the initiator proved that it holds a ratchet state that is stored here, for `peer` or
  /// for another peer.
  public var hasRatchet: Bool { request.hasRatchet }

  /// Accepts the peer, and returns when the session can carry data.
  ///
  /// Cancelling the task abandons the session. If this side is opening a session to the same peer,
  /// both calls return the same session; see
  /// ``UDPEndpoint/connect(to:key:identity:flags:timeout:)-(SocketAddress,_,_,_,_)``.
  ///
  /// - Parameter flags: The flags of this session, of which only
  ///   ``/ZSSP/SecurityFlags/responderDisallowsDowngrade`` and
  ///   ``/ZSSP/SecurityFlags/responderRejectsSilently`` apply; the endpoint's flags if nil.
  /// - Throws: ``UDPError/expired`` if the handshake waited too long or was decided on before,
  ///   ``UDPError/handshakeFailed(_:)`` if it failed after it was accepted, ``UDPError/cancelled``,
  ///   ``UDPError/closed`` or ``UDPError/transport(_:)``.
  public func accept(flags: SecurityFlags? = nil) async throws(UDPError) -> Session {
    let id = id
    let outcome = SessionOutcome()
    return try await handle.session(outcome, on: handle.shards[shard], as: .responder) { driver in
      driver.accept(id, flags: flags, for: outcome)
    }
  }

  /// Refuses the peer. Does nothing if the handshake has expired or was decided on.
  ///
  /// - Parameter silently: False to tell the peer. If nil, the endpoint's
  ///   ``/ZSSP/SecurityFlags/responderRejectsSilently`` decides.
  public func reject(silently: Bool? = nil) {
    let id = id
    handle.shards[shard].tell { driver in driver.reject(id, silently: silently) }
  }
}

/// The event loop's record of a handshake that waits for a decision.
struct IncomingOffer: Sendable {
  let shard: Int
  let id: RequestID
  let request: AcceptRequest
}

/// The handshakes of peers that wait for a decision; see ``UDPEndpoint/incoming``.
public struct IncomingSessions: AsyncSequence, Sendable {
  /// A handshake that waits.
  public typealias Element = IncomingSession
  /// The sequence does not fail.
  public typealias Failure = Never

  /// Reading keeps the endpoint open.
  let handle: EndpointHandle

  /// Makes an iterator. Iterators share the handshakes: each handshake goes to one.
  public func makeAsyncIterator() -> Iterator { Iterator(handle: handle) }

  /// Reads handshakes that wait.
  public struct Iterator: AsyncIteratorProtocol {
    let handle: EndpointHandle

    /// Returns the next handshake; nil when the endpoint is closed, or the task is cancelled.
    public mutating func next() async -> IncomingSession? {
      await handle.mailboxes.incoming.next().map { IncomingSession($0, handle: handle) }
    }

    /// Returns the next handshake; nil when the endpoint is closed, or the task is cancelled.
    public mutating func next(isolation actor: isolated (any Actor)?) async -> IncomingSession? {
      await handle.mailboxes.incoming.next(isolation: actor).map { IncomingSession($0, handle: handle) }
    }
  }
}

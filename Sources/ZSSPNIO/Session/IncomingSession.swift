// SPDX-License-Identifier: Apache-2.0
public import NIOCore
public import ZSSP

/// A handshake of someone who has proved its key and waits for a decision.
///
/// It waits no longer than ``Settings/handshakeTimeout`` from its first packet. Doing nothing is a silent refusal.
public struct IncomingSession: Sendable {
  private let request: AcceptRequest
  private let id: RequestID
  private let shard: Int
  private let handle: EndpointHandle

  init(_ offer: IncomingOffer, _ handle: EndpointHandle) {
    request = offer.request
    id = offer.id
    shard = offer.shard
    self.handle = handle
  }

  /// The initiator's static key, proved.
  public var peer: PublicKey { request.peer }
  /// What the initiator says of itself, 0…4096 bytes. It is authenticated: `peer` says so.
  public var identity: [UInt8] { request.identity }
  /// Where the handshake came from.
  public var remoteAddress: SocketAddress { SocketAddress(request.address) }
  /// Whether the initiator proved that it holds a ratchet state that is stored here, for `peer` or for another.
  public var hasRatchet: Bool { request.hasRatchet }

  /// Takes the peer, and returns when the session can carry data.
  ///
  /// Cancelling the task gives the session up. Where this side is opening a session to the same peer, both calls return the
  /// one that results; see
  /// ``UDPEndpoint/connect(to:key:identity:flags:timeout:)-(SocketAddress,_,_,_,_)``.
  ///
  /// - Parameter flags: π3 and π4 of this session; the endpoint's flags if nil.
  /// - Throws: ``UDPError/expired`` if the handshake has waited too long or was decided on before,
  ///   ``UDPError/handshakeFailed(_:)`` if it failed after it was accepted, ``UDPError/cancelled``,
  ///   ``UDPError/closed``.
  public func accept(flags: SecurityFlags? = nil) async throws(UDPError) -> Session {
    let (id, outcome) = (id, SessionOutcome())
    return try await handle.session(outcome, on: handle.shards[shard], as: .responder) { driver in
      driver.accept(id, flags, outcome)
    }
  }

  /// Refuses the peer. It is told so unless `silently`; the endpoint's flag π4 decides if that is nil.
  public func reject(silently: Bool? = nil) {
    let id = id
    handle.shards[shard].tell { driver in driver.reject(id, silently) }
  }
}

/// What the event loop knows of a handshake that waits for a decision.
struct IncomingOffer: Sendable {
  let shard: Int
  let id: RequestID
  let request: AcceptRequest
}

/// The handshakes of others that wait for a decision; see ``UDPEndpoint/incoming``.
public struct IncomingSessions: AsyncSequence, Sendable {
  /// A handshake that waits.
  public typealias Element = IncomingSession
  /// The sequence does not fail.
  public typealias Failure = Never

  /// Reading keeps the endpoint open even where nothing else does.
  let handle: EndpointHandle

  /// Reads the handshakes. Iterators share them: each handshake goes to one.
  public func makeAsyncIterator() -> Iterator { Iterator(handle: handle) }

  /// Reads handshakes that wait.
  public struct Iterator: AsyncIteratorProtocol {
    let handle: EndpointHandle

    /// The next handshake; nil when the endpoint is closed, or the task is cancelled.
    public mutating func next() async -> IncomingSession? {
      await handle.mailboxes.incoming.next().map { IncomingSession($0, handle) }
    }

    /// The next handshake; nil when the endpoint is closed, or the task is cancelled.
    public mutating func next(isolation actor: isolated (any Actor)?) async -> IncomingSession? {
      await handle.mailboxes.incoming.next(isolation: actor).map { IncomingSession($0, handle) }
    }
  }
}

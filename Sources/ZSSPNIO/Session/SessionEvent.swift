// SPDX-License-Identifier: Apache-2.0
public import NIOCore
public import ZSSP

/// An event of a session; see ``Session/events``.
public enum SessionEvent: Sendable, Hashable {
  /// The peer of a session that this side accepted has confirmed the key.
  case confirmed
  /// The handshake started anew, with new keys.
  case restarted(RestartReason)
  /// The handshake continued with the empty ratchet state, although this side held one of this
  /// chain length; see ``UDPEndpoint/downgrades``.
  case downgraded(heldChainLength: UInt64)
  /// Both sides have a new key, with this length of the ratchet chain.
  case rekeyed(chainLength: UInt64)
  /// The peer's address has changed.
  case moved(from: SocketAddress, to: SocketAddress)
  /// The session has ended. The last event.
  case ended(EndReason)

  /// The public form of an event of the protocol; nil if it has none.
  init?(_ event: Event) {
    switch event {
    case .confirmed: self = .confirmed
    case .restarted(_, let reason): self = .restarted(reason)
    case .downgraded(_, _, let heldChainLength): self = .downgraded(heldChainLength: heldChainLength)
    case .rekeyed(_, let chainLength): self = .rekeyed(chainLength: chainLength)
    case .moved(_, let from, let to): self = .moved(from: SocketAddress(from), to: SocketAddress(to))
    case .ended(_, let reason): self = .ended(reason)
    case .established, .answered, .withdrawn: return nil
    }
  }
}

/// The events of a session; see ``Session/events``.
public struct SessionEvents: AsyncSequence, Sendable {
  /// An event.
  public typealias Element = SessionEvent
  /// The sequence does not fail.
  public typealias Failure = Never

  let mailbox: BoundedAsyncQueue<Event>
  /// Reading keeps the endpoint open.
  let handle: EndpointHandle

  /// Makes an iterator. Iterators share the events: each event goes to one.
  public func makeAsyncIterator() -> Iterator { Iterator(sequence: self) }

  /// Reads events.
  public struct Iterator: AsyncIteratorProtocol {
    let sequence: SessionEvents

    /// Returns the next event; nil when the session has ended, or the task is cancelled.
    public mutating func next() async -> SessionEvent? { await next(isolation: nil) }

    /// Returns the next event; nil when the session has ended, or the task is cancelled.
    public mutating func next(isolation actor: isolated (any Actor)?) async -> SessionEvent? {
      while let event = await sequence.mailbox.next(isolation: actor) {
        if let event = SessionEvent(event) { return event }
      }
      return nil
    }
  }
}

/// The events of a session in the protocol's form, for this package.
package struct ProtocolEvents: AsyncSequence, Sendable {
  package typealias Element = Event
  package typealias Failure = Never

  let mailbox: BoundedAsyncQueue<Event>
  /// Reading keeps the endpoint open.
  let handle: EndpointHandle

  package func makeAsyncIterator() -> Iterator { Iterator(sequence: self) }

  package struct Iterator: AsyncIteratorProtocol {
    let sequence: ProtocolEvents

    package mutating func next() async -> Event? { await sequence.mailbox.next() }

    package mutating func next(isolation actor: isolated (any Actor)?) async -> Event? {
      await sequence.mailbox.next(isolation: actor)
    }
  }
}

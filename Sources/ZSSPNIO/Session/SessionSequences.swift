// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// The messages of a session; see ``Session/messages``.
public struct Messages: AsyncSequence, Sendable {
  /// A message.
  public typealias Element = [UInt8]
  /// The sequence does not fail.
  public typealias Failure = Never

  let mailbox: BoundedAsyncQueue<[UInt8]>
  /// Reading keeps the endpoint open.
  let handle: EndpointHandle

  /// Makes an iterator. Iterators share the messages: each message goes to one.
  public func makeAsyncIterator() -> Iterator { Iterator(sequence: self) }

  /// Reads messages.
  public struct Iterator: AsyncIteratorProtocol {
    let sequence: Messages

    /// Returns the next message; nil when the session has ended, or the task is cancelled.
    public mutating func next() async -> [UInt8]? { await sequence.mailbox.next() }

    /// Returns the next message; nil when the session has ended, or the task is cancelled.
    public mutating func next(isolation actor: isolated (any Actor)?) async -> [UInt8]? {
      await sequence.mailbox.next(isolation: actor)
    }
  }
}

/// A handshake that continued without the ratchet; see ``UDPEndpoint/downgrades``.
public struct Downgrade: Sendable, Hashable {
  /// The session of the handshake. It may never carry data.
  public let session: SessionID
  /// The static key of the peer.
  public let peer: PublicKey
  /// The chain length of the ratchet state that this side held for the peer.
  public let heldChainLength: UInt64
}

/// The downgrades of an endpoint; see ``UDPEndpoint/downgrades``.
public struct Downgrades: AsyncSequence, Sendable {
  /// A downgrade.
  public typealias Element = Downgrade
  /// The sequence does not fail.
  public typealias Failure = Never

  let mailbox: BoundedAsyncQueue<Downgrade>
  /// Reading keeps the endpoint open.
  let handle: EndpointHandle

  /// Makes an iterator. Iterators share the downgrades: each downgrade goes to one.
  public func makeAsyncIterator() -> Iterator { Iterator(sequence: self) }

  /// Reads downgrades.
  public struct Iterator: AsyncIteratorProtocol {
    let sequence: Downgrades

    /// Returns the next downgrade; nil when the endpoint is closed, or the task is cancelled.
    public mutating func next() async -> Downgrade? { await sequence.mailbox.next() }

    /// Returns the next downgrade; nil when the endpoint is closed, or the task is cancelled.
    public mutating func next(isolation actor: isolated (any Actor)?) async -> Downgrade? {
      await sequence.mailbox.next(isolation: actor)
    }
  }
}
